// Signals that ask the process to end. A terminal and `timeout` send a signal to the whole process group, and npm
// forwards the signals that it gets, so under `npm start` one request arrives as the same signal twice within moments.
// The second of those is not a demand to stop at once.

const stopSignals = ['SIGINT', 'SIGTERM'] as const
/** For a process that npm started. Any other process gets each signal once, and ends at once on a second one. */
export const npmEchoMs = 1000

export type StopSignal = (typeof stopSignals)[number]

/** `first` is called once; `echo` for the same signal within `echoMs` of that; `second` for all others. */
export function onStopSignals(
  on: Record<'first' | 'echo' | 'second', (signal: StopSignal) => void>,
  echoMs: number,
  monotonic: () => number = () => performance.now(),
): void {
  let wish: { signal: StopSignal; at: number } | undefined
  const take = (signal: StopSignal) => {
    if (wish === undefined) {
      wish = { signal, at: monotonic() }
      on.first(signal)
    } else if (wish.signal === signal && monotonic() - wish.at < echoMs) on.echo(signal)
    else on.second(signal)
  }
  for (const signal of stopSignals) process.on(signal, take)
}
