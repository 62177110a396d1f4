/** The ids of monitors that were there when last seen, as many as fit: two sets, of which the older is dropped when the newer is full. */
export function createKnownMonitors({ maxEntries }: { maxEntries: number }) {
  let newer = new Set<string>()
  let older = new Set<string>()
  return {
    has: (id: string): boolean => newer.has(id) || older.has(id),
    add(id: string): void {
      if (newer.has(id)) return
      if (newer.size >= maxEntries / 2) {
        older = newer
        newer = new Set()
      }
      newer.add(id)
    },
  }
}
