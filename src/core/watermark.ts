// How far time may be judged. A replica that cannot reach the database goes on acknowledging heartbeats into its spool, where no other
// replica sees them, so a deadline may be applied only when every replica has said that all it acknowledged until then is in the
// database. Each replica reports that instant ("heard through") twice a second; the earliest of them is the watermark. Nobody is waited
// for without limit: a replica that is not heard is given up after a while, and alerts that may be wrong for that name it.

/** What a replica last reported. Instants in epoch milliseconds by the database's clock. */
export type ReplicaReport = {
  id: string
  /** What people call it; no tenant's data. */
  name: string
  /** Every heartbeat that it acknowledged and received until then is in the database. */
  heardThrough: number
  seenAt: number
  /** Whether it keeps heartbeats in a spool while the database is away. */
  canSpool: boolean
}

/** The last time in which no replica could write to the database. */
export type Outage = { from: number; to: number }

/** How long a replica is waited for: after an outage that all saw, and when it alone is not heard. Milliseconds. */
export type Patience = { afterOutageMs: number; unheardMs: number }

/** A replica that was given up, and the time in which it may have acknowledged heartbeats that are not in the database. */
export type Unheard = { name: string; from: number; to: number }

export type Watermark = { through: number; unheard: readonly Unheard[] }

/** With fewer than two replicas there is nobody to wait for. */
export const openWatermark: Watermark = { through: Number.POSITIVE_INFINITY, unheard: [] }

/** One that reported so recently is there. */
const freshMs = 2000
/** Without a spool a heartbeat is acknowledged only after its commit; this is for one under way. */
const commitMs = 5000

/** `replicas` are all but the one that asks, whose own heartbeats it knows. */
export function watermarkOf(
  replicas: readonly ReplicaReport[],
  outage: Outage | null,
  patience: Patience,
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

function waitEnd(replica: ReplicaReport, outage: Outage | null, patience: Patience, now: number): number {
  const { heardThrough, seenAt, canSpool } = replica
  if (!canSpool) return heardThrough + commitMs
  const wasThere = outage !== null && seenAt > outage.from - patience.unheardMs
  if (wasThere && heardThrough < outage.to) return outage.to + patience.afterOutageMs
  return heardThrough + (now - seenAt <= freshMs ? patience.afterOutageMs : patience.unheardMs)
}

/** Names, in a change that time made, the replica that was given up and may have acknowledged a heartbeat meanwhile. */
export function nameUnheard<F extends { at: number; since?: number; unheard?: Unheard | null }>(
  flip: F,
  unheard: readonly Unheard[],
): F {
  const { at, since } = flip
  if (since === undefined) return flip
  return { ...flip, unheard: unheard.find(({ from, to }) => from < at && to > since) ?? null }
}
