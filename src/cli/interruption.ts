/**
 * Runs work with a signal that the first Ctrl-C or SIGTERM aborts, so that the work can remove what is half done; the
 * second ends the process.
 */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stop.abort(new Error(`interrupted by ${signal}`)))
  try {
    await work(stop.signal)
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error
  }
}
