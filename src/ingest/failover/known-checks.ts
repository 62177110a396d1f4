/**
 * The checks that existed when last seen, up to a limit, with their projects. There are two maps; the older one is
 * dropped when the newer one is full: with more checks than fit, the lru-cache of the other rooms takes three times as
 * long for each heartbeat. The project is empty until it has been learnt.
 */
export function createKnownChecks({ maxEntries }: { maxEntries: number }) {
  let newer = new Map<string, string>()
  let older = new Map<string, string>()
  let unlearnt: string[] = []

  function add(id: string, projectId = ''): void {
    const known = newer.get(id)
    if (known !== undefined && (known !== '' || projectId === '')) return
    if (known === undefined && newer.size >= maxEntries / 2) {
      older = newer
      newer = new Map()
    }
    const project = projectId || older.get(id) || ''
    newer.set(id, project)
    if (project === '' && unlearnt.length < maxEntries) unlearnt.push(id)
  }

  return {
    add,
    /** Undefined for an unknown check; empty while the project is unknown. */
    projectOf: (id: string): string | undefined => newer.get(id) ?? older.get(id),
    /** Checks whose projects are to be learnt, the first seen first, at most `limit`. */
    unlearnt: (limit: number): string[] => unlearnt.slice(0, limit),
    /** The first `count` of them have been looked up. */
    asked(count: number): void {
      unlearnt = unlearnt.slice(count)
    },
  }
}
