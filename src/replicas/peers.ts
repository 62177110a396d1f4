// The other replicas, as seen from one. A replica that alone cannot reach the database hands its spool to one that can,
// so that its heartbeats are evaluated in time. And each replica probes those that no longer report: a process that is
// gone or frozen acknowledges nothing, so the others need not wait for it; a process that answers may be cut off from
// the database, so they wait.
// A probe of an address is proof about a replica only if that replica, and no other, has answered there before: behind
// a load balancer, or in a network of containers, an address may belong to another process, or to the prober itself.

import type { Agent } from 'undici'
import type { BlindTime } from '../blind-time/service.ts'
import type { Peer, Report } from '../blind-time/store.ts'

/** A peer that has not reported for this long is probed. */
const silentAfterMs = 750
/** How often the addresses of replicas that report are verified. */
const verifyEveryMs = 10_000
/** The header that names the replica which answers. */
export const replicaHeader = 'flatline-replica'
const probeTimeoutMs = 1000
const handOverTimeoutMs = 10_000

type PeerClient = Pick<typeof import('undici'), 'request'> & { agent: Agent }

async function loadPeerClient(): Promise<PeerClient> {
  const { Agent, request } = await import('undici')
  return { request, agent: new Agent({ connect: { timeout: probeTimeoutMs }, keepAliveTimeout: 1000 }) }
}

export function createPeers(options: {
  token: string
  blindTime: Pick<BlindTime, 'peers' | 'selfReport' | 'reported' | 'forget' | 'markFrozen'>
  /** By the database's clock, in epoch milliseconds. */
  now: () => number
  monotonic: () => number
  /** How long after its last report a replica acknowledges nothing from its spool. */
  acknowledgeAfterMs: number
  log: { info(o: object, message: string): void; debug(o: object, message: string): void }
}) {
  const { token, blindTime, now, monotonic, acknowledgeAfterMs, log } = options
  let loaded: Promise<PeerClient> | undefined
  /** With the first request: a single replica does not need the memory of the library. */
  const load = () => (loaded ??= loadPeerClient())
  let taker: string | null = null
  /** When each other replica last reported to this one that it spools, in epoch milliseconds. */
  const spooling = new Map<string, number>()
  /** What answered at the address of each replica while it reported; `triedAt` is on the monotonic clock. */
  const seen = new Map<string, { address: string | null; isItself: boolean; isShared: boolean; triedAt: number }>()

  async function offer(peer: Peer, own: Report, records: Buffer): Promise<'taken' | 'noted' | 'unreachable'> {
    const query = new URLSearchParams({ heard_through: String(own.heardThrough), spools: String(own.spools) })
    try {
      const { agent, request } = await load()
      const answer = await request(`${peer.address}/replicas/${own.id}/heartbeats?${query}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
        body: records,
        dispatcher: agent,
        headersTimeout: handOverTimeoutMs,
        bodyTimeout: handOverTimeoutMs,
      })
      await answer.body.dump()
      // Only a replica can have taken the records; any other 2xx answer must not make the caller remove them.
      const taker = answer.headers[replicaHeader]
      if (taker === undefined || taker === own.id) return 'unreachable'
      if (answer.statusCode === 204) return 'taken'
      return answer.statusCode === 202 ? 'noted' : 'unreachable'
    } catch (err) {
      log.debug({ err, event: 'peers.unreachable', peer: peer.name }, 'a replica cannot be reached')
      return 'unreachable'
    }
  }

  /**
   * What answers at its address: the peer itself, another replica, nothing, a frozen process, or something that does
   * not say.
   */
  async function whoAnswers(peer: Peer): Promise<'itself' | 'another' | 'nobody' | 'frozen' | 'unknown'> {
    try {
      const { agent, request } = await load()
      const answer = await request(`${peer.address}/replicas/${peer.id}`, {
        dispatcher: agent,
        headersTimeout: probeTimeoutMs,
        bodyTimeout: probeTimeoutMs,
      })
      await answer.body.dump()
      const name = answer.headers[replicaHeader]
      return name === undefined ? 'unknown' : name === peer.id ? 'itself' : 'another'
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === 'ECONNREFUSED') return 'nobody'
      return code === 'UND_ERR_HEADERS_TIMEOUT' ? 'frozen' : 'unknown'
    }
  }

  async function probe(peer: Peer): Promise<void> {
    const askedAt = now()
    const isKnown = isAtItsAddress(peer)
    const answers = await whoAnswers(peer)
    // A probe proves that the peer acknowledged nothing only if it was made before the peer could have.
    const hasSpooledSince = peer.spools || (spooling.get(peer.id) ?? 0) >= peer.seenAt
    const isProof = isKnown && !hasSpooledSince && askedAt < peer.heardThrough + acknowledgeAfterMs
    if (!isProof) return
    if (answers === 'another' || answers === 'nobody') {
      await blindTime.forget([peer.id])
      log.info({ event: 'peers.gone', peer: peer.name }, 'a replica is gone, and has left no heartbeats behind')
    } else if (answers === 'frozen') blindTime.markFrozen(peer.id, askedAt)
  }

  const isAtItsAddress = ({ id, address }: Peer): boolean => {
    const last = seen.get(id)
    return last !== undefined && last.address === address && last.isItself && !last.isShared
  }

  /** Finds out whether a replica that reports, and no other, answers at its address. */
  async function verify(peer: Peer): Promise<void> {
    const { id, address } = peer
    const last = seen.get(id)
    const before = last?.address === address ? last : { address, isItself: false, isShared: false, triedAt: 0 }
    if (before === last && monotonic() - last.triedAt < verifyEveryMs) return
    seen.set(id, { ...before, triedAt: monotonic() })
    const answers = await whoAnswers(peer)
    seen.set(id, {
      ...{ address, triedAt: monotonic() },
      isItself: before.isItself || answers === 'itself',
      isShared: before.isShared || answers === 'another',
    })
  }

  return {
    /**
     * Gives these records of the spool, and this replica's report, to a replica that can write them. True once the
     * database holds them. If no replica can write them, at least those that are reached know that this one spools.
     */
    async handOver(records: Buffer): Promise<boolean> {
      const own = blindTime.selfReport()
      if (own === null) return false
      const at = monotonic()
      let allWereReached = true
      const reachable = blindTime.peers().filter(({ address }) => address !== null)
      for (const peer of reachable.toSorted((a, b) => Number(b.id === taker) - Number(a.id === taker))) {
        const answer = await offer(peer, own, records)
        if (answer === 'unreachable') allWereReached = false
        if (answer !== 'taken') continue
        if (taker !== peer.id)
          log.info(
            { event: 'peers.handing_over', peer: peer.name },
            'heartbeats go to the database through another replica',
          )
        taker = peer.id
        blindTime.reported(at, own.spools)
        return true
      }
      taker = null
      if (own.spools && allWereReached && reachable.length === blindTime.peers().length) blindTime.reported(at, true)
      return false
    },

    /** Notes that another replica spools. */
    noteSpooling(replicaId: string): void {
      spooling.set(replicaId, now())
    },

    /** Probes the replicas that no longer report. */
    async probeSilent(): Promise<void> {
      const known = new Set(blindTime.peers().map(({ id }) => id))
      for (const id of spooling.keys()) if (!known.has(id)) spooling.delete(id)
      for (const id of seen.keys()) if (!known.has(id)) seen.delete(id)
      const reachable = blindTime.peers().filter(({ address }) => address !== null)
      const isSilent = ({ seenAt }: Peer) => now() - seenAt > silentAfterMs
      await Promise.all(reachable.map((peer) => (isSilent(peer) ? probe(peer) : verify(peer))))
    },

    async close(): Promise<void> {
      await (await loaded)?.agent.close()
    },
  }
}
