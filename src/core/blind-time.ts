// A blind window is a time in which no replica could accept heartbeats. Such time does not count against a check: a
// wait that begins at `from` and lasts `lengthMs` ends later by exactly its overlap with blind windows. A window that
// begins before the (extended) end always counts whole, because the wait is suspended as long as the window lasts.

/** Epoch milliseconds, from inclusive, to exclusive. */
export type BlindWindow = { from: number; to: number }

/** When a wait ends, in epoch milliseconds. `windows` are disjoint and sorted by `from`. */
export function endOfWait(from: number, lengthMs: number, windows: readonly BlindWindow[]): number {
  let end = from + lengthMs
  for (let i = firstEndingAfter(windows, from); i < windows.length; i++) {
    const window = windows[i] as BlindWindow
    if (window.from >= end) break
    end += window.to - Math.max(window.from, from)
  }
  return end
}

/** The last window that overlaps a wait from `from` to `end`: a heartbeat may have been refused in it. */
export function windowDuring(from: number, end: number, windows: readonly BlindWindow[]): BlindWindow | null {
  for (let i = windows.length - 1; i >= 0; i--) {
    const window = windows[i] as BlindWindow
    if (window.to <= from) return null
    if (window.from < end) return window
  }
  return null
}

/** Windows reach far back and most waits do not: a binary search skips the windows before the wait. */
function firstEndingAfter(windows: readonly BlindWindow[], from: number): number {
  let low = 0
  let high = windows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((windows[middle] as BlindWindow).to <= from) low = middle + 1
    else high = middle
  }
  return low
}
