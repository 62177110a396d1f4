// After spools of processes that are gone have been taken over, the others need not wait for these processes any more.
// The database may be away at that moment, so the ids are kept until it has been told.

export function createAdoption(options: {
  /** Takes spools over; returns the ids of their owners. */
  tend: () => Promise<string[]>
  /** Reports this replica, which holds their heartbeats now, before the owners are forgotten. */
  record: () => Promise<void>
  forget: (replicaIds: readonly string[]) => Promise<void>
}) {
  const { tend, record, forget } = options
  let gone: readonly string[] = []

  return async function adopt(): Promise<void> {
    gone = [...gone, ...(await tend())]
    if (gone.length === 0) return
    const told = gone
    await record()
    await forget(told)
    gone = gone.filter((id) => !told.includes(id))
  }
}
