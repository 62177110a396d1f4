// Whether the event loop is overloaded. One full second may be a start, a long garbage collection or a paused machine;
// several in a row are overload.

/** In milliseconds, and as a share from 0 to 1, over the last second. */
export type Load = { eventLoopDelay: number; eventLoopUtilized: number }

/** Seconds in a row. */
const lastingSamples = 3

/** `sample` must be called once a second. */
export function createOverload({ load, isStarted }: { load: () => Load; isStarted: () => boolean }) {
  let wasStarted = false
  let overloaded = 0
  return {
    sample(): void {
      const { eventLoopDelay, eventLoopUtilized } = load()
      // The first sample after the start contains the end of the start.
      const isSettled = wasStarted
      wasStarted = isStarted()
      overloaded = isSettled && (eventLoopDelay > 1000 || eventLoopUtilized > 0.98) ? overloaded + 1 : 0
    },
    isLasting: (): boolean => overloaded >= lastingSamples,
  }
}
