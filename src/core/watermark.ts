// Up to which instant deadlines may be applied. A replica that cannot reach the database still acknowledges heartbeats,
// into its spool, where no other replica sees them. So a deadline may be applied only when every replica has reported
// that the database holds all heartbeats that it acknowledged until then. Each replica reports that instant ("heard
// through") twice a second; the earliest of them is the watermark. The wait is limited: after a while it ignores a
// replica that does not report, and alerts that may be wrong because of this name the replica.

/** What a replica last reported. Instants in epoch milliseconds by the database's clock. */
export type ReplicaReport = {
  id: string
  /** Its name for people; it contains no data of tenants. */
  name: string
  /** The database holds every heartbeat that it received and acknowledged until then. */
  heardThrough: number
  seenAt: number
  /** Whether it keeps heartbeats in a spool while the database is away. */
  canSpool: boolean
}

/** The last time in which no replica could write to the database. */
export type Outage = { from: number; to: number }

/**
 * How long to wait for a replica: after an outage that all replicas saw, and when only this one does not report.
 * Milliseconds.
 */
export type WaitLimits = { afterOutageMs: number; unheardMs: number }

/**
 * A replica that is not waited for any more, and the time in which it may have acknowledged heartbeats that the
 * database does not hold.
 */
export type Unheard = { name: string; from: number; to: number }

export type Watermark = { through: number; unheard: readonly Unheard[] }

/** A single replica waits for no other. */
export const openWatermark: Watermark = { through: Number.POSITIVE_INFINITY, unheard: [] }

/** A replica that reported this recently is running. */
const freshMs = 2000
/** Without a spool a heartbeat is acknowledged only after its commit; this is the time for a commit in progress. */
const commitMs = 5000

/** `replicas` are the others: the replica that asks knows its own heartbeats. */
export function watermarkOf(
  replicas: readonly ReplicaReport[],
  outage: Outage | null,
  patience: WaitLimits,
  now: number,
): Watermark {
  let through = Number.POSITIVE_INFINITY
  const unheard: Unheard[] = []
  for (const replica of replicas) {
    const end = waitEnd(replica, outage, patience, now)
    if (now < end) through = Math.min(through, replica.heardThrough)
    else if (replica.canSpool) unheard.push({ name: replica.name, from: replica.heardThrough, to: end })
  }
  return { through, unheard }
}

function waitEnd(replica: ReplicaReport, outage: Outage | null, patience: WaitLimits, now: number): number {
  const { heardThrough, seenAt, canSpool } = replica
  if (!canSpool) return heardThrough + commitMs
  const wasThere = outage !== null && seenAt > outage.from - patience.unheardMs
  if (wasThere && heardThrough < outage.to) return outage.to + patience.afterOutageMs
  return heardThrough + (now - seenAt <= freshMs ? patience.afterOutageMs : patience.unheardMs)
}

/**
 * Adds to the flip of a deadline the replica that may have acknowledged a heartbeat meanwhile and is not waited for any
 * more.
 */
export function nameUnheard<F extends { at: number; since?: number; unheard?: Unheard | null }>(
  flip: F,
  unheard: readonly Unheard[],
): F {
  const { at, since } = flip
  if (since === undefined) return flip
  return { ...flip, unheard: unheard.find(({ from, to }) => from < at && to > since) ?? null }
}
