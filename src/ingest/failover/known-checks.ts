/**
 * The checks that existed when their last heartbeat came, up to a limit, with their projects. There are two maps; the
 * older one is dropped when the newer one is full. With more checks than fit, lru-cache, which other modules use, takes
 * three times as long for each heartbeat. The project is null until it has been looked up.
 */
export function createKnownChecks({ maxEntries }: { maxEntries: number }) {
  let newer = new Map<string, string | null>()
  let older = new Map<string, string | null>()
  let unresolved: string[] = []

  function add(id: string, projectId: string | null = null): void {
    const known = newer.get(id)
    if (known !== undefined && (known !== null || projectId === null)) return
    if (known === undefined && newer.size >= maxEntries / 2) {
      older = newer
      newer = new Map()
    }
    const project = projectId ?? older.get(id) ?? null
    newer.set(id, project)
    if (project === null && unresolved.length < maxEntries) unresolved.push(id)
  }

  return {
    add,
    /** Undefined for an unknown check; null while its project is unknown. */
    projectOf: (id: string): string | null | undefined => newer.get(id) ?? older.get(id) ?? newer.get(id),
    /** At most `limit` checks whose projects are not known, in the order in which they came. */
    unresolved: (limit: number): string[] => unresolved.slice(0, limit),
    /** The first `count` of them have been looked up. */
    lookedUp(count: number): void {
      unresolved = unresolved.slice(count)
    },
  }
}
