// Once the spool of a process that is gone has been adopted, the other replicas need not wait for that process any
// more. The database may be unavailable at that moment, so the ids are kept until it has them.

export function createAdoption(options: {
  /** Adopts spools; returns the ids of their owners. */
  adopt: () => Promise<string[]>
  /** Reports this replica, which holds their heartbeats now, before the owners are removed. */
  record: () => Promise<void>
  forget: (replicaIds: readonly string[]) => Promise<void>
}) {
  const { adopt, record, forget } = options
  let gone: readonly string[] = []

  return async function adoptAndForget(): Promise<void> {
    gone = [...gone, ...(await adopt())]
    if (gone.length === 0) return
    const reported = gone
    await record()
    await forget(reported)
    gone = gone.filter((id) => !reported.includes(id))
  }
}
