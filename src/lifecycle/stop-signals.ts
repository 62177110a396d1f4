// Signals that ask the process to end. A terminal and `timeout` send theirs to all of a process group, and npm passes on what it gets
// itself, so that one wish under `npm start` comes as the same signal two times within moments. The second of those is not impatience.

const stopSignals = ['SIGINT', 'SIGTERM'] as const
/** For a process that npm has started; any other gets each signal once, and obeys a second one at once. */
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
