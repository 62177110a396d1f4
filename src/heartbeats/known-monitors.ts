/**
 * The checks that were there when last seen, as many as fit, and whose they are: two maps, of which the older is dropped when the newer is
 * full. The project is empty until it has been learnt.
 */
export function createKnownMonitors({ maxEntries }: { maxEntries: number }) {
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
    /** Undefined for a check that is not known; empty while its project is not. */
    projectOf: (id: string): string | undefined => newer.get(id) ?? older.get(id),
    /** Checks whose projects are to be learnt, at most `limit`; the first that were seen. */
    unlearnt: (limit: number): string[] => unlearnt.slice(0, limit),
    /** The first `count` of them have been asked about. */
    asked(count: number): void {
      unlearnt = unlearnt.slice(count)
    },
  }
}
