// The other replicas, as seen from one. A replica that alone cannot reach the database hands its spool to one that can, so that its
// heartbeats are judged in time. And each replica looks after those that have fallen silent in the database: a process that is gone, or
// that stands still, acknowledges nothing, so nobody has to wait for it; one that answers cannot be told from one that is cut off.

import { Agent, request } from 'undici'
import type { BlindTime } from '../blind-time/service.ts'
import type { Peer, Report } from '../blind-time/store.ts'

export type Peers = ReturnType<typeof createPeers>

/** A peer that has not reported for so long is asked whether it is there. */
const silentAfterMs = 750
const probeTimeoutMs = 1000
const handOverTimeoutMs = 10_000

export function createPeers(options: {
  token: string
  blindTime: Pick<BlindTime, 'peers' | 'selfReport' | 'reported' | 'forget' | 'standsStill'>
  /** By the database's clock, in epoch milliseconds. */
  now: () => number
  monotonic: () => number
  /** How long after its last report a replica acknowledges nothing from its spool. */
  acknowledgeAfterMs: number
  log: { info(o: object, message: string): void; debug(o: object, message: string): void }
}) {
  const { token, blindTime, now, monotonic, acknowledgeAfterMs, log } = options
  const agent = new Agent({ connect: { timeout: probeTimeoutMs }, keepAliveTimeout: 1000 })
  let taker: string | null = null
  /** When other replicas last said here that they spool, in epoch milliseconds. */
  const spooling = new Map<string, number>()

  async function offer(peer: Peer, own: Report, records: Buffer): Promise<'taken' | 'noted' | 'unreachable'> {
    const query = new URLSearchParams({ heard_through: String(own.heardThrough), spools: String(own.spools) })
    try {
      const answer = await request(`${peer.address}/replicas/${own.id}/heartbeats?${query}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
        body: records,
        dispatcher: agent,
        headersTimeout: handOverTimeoutMs,
        bodyTimeout: handOverTimeoutMs,
      })
      await answer.body.dump()
      if (answer.statusCode === 204) return 'taken'
      return answer.statusCode === 202 ? 'noted' : 'unreachable'
    } catch (err) {
      log.debug({ err, event: 'peers.unreachable', peer: peer.name }, 'a replica cannot be reached')
      return 'unreachable'
    }
  }

  /** Whether the process is there: `gone` and `still` are certain at the moment of asking. */
  async function stateOf(peer: Peer): Promise<'there' | 'gone' | 'still' | 'unknown'> {
    try {
      const answer = await request(`${peer.address}/replicas/${peer.id}`, {
        dispatcher: agent,
        headersTimeout: probeTimeoutMs,
        bodyTimeout: probeTimeoutMs,
      })
      await answer.body.dump()
      return answer.statusCode === 404 ? 'gone' : 'there'
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === 'ECONNREFUSED') return 'gone'
      return code === 'UND_ERR_HEADERS_TIMEOUT' ? 'still' : 'unknown'
    }
  }

  async function look(peer: Peer): Promise<void> {
    const askedAt = now()
    const state = await stateOf(peer)
    // Only what was found before it could have acknowledged anything is proof that it did not.
    const hasSpooledSince = peer.spools || (spooling.get(peer.id) ?? 0) >= peer.seenAt
    const isProof = !hasSpooledSince && askedAt < peer.heardThrough + acknowledgeAfterMs
    if (!isProof) return
    if (state === 'gone') {
      await blindTime.forget([peer.id])
      log.info({ event: 'peers.gone', peer: peer.name }, 'a replica is gone, and has left no heartbeats behind')
    } else if (state === 'still') blindTime.standsStill(peer.id, askedAt)
  }

  return {
    /**
     * Gives these records of the spool, and what this replica says of itself, to a replica that can write them. True once they are in the
     * database. Where none can, all that are reached know at least that this one spools.
     */
    async handOver(records: Buffer): Promise<boolean> {
      const own = blindTime.selfReport()
      if (own === null) return false
      const at = monotonic()
      let areAllTold = true
      const reachable = blindTime.peers().filter(({ address }) => address !== null)
      for (const peer of reachable.toSorted((a, b) => Number(b.id === taker) - Number(a.id === taker))) {
        const answer = await offer(peer, own, records)
        if (answer === 'unreachable') areAllTold = false
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
      if (own.spools && areAllTold && reachable.length === blindTime.peers().length) blindTime.reported(at, true)
      return false
    },

    /** Another replica says that it spools. */
    noteSpooling(replicaId: string): void {
      spooling.set(replicaId, now())
    },

    /** Asks those that have not reported whether they are there. */
    async lookAfterSilent(): Promise<void> {
      const known = new Set(blindTime.peers().map(({ id }) => id))
      for (const id of spooling.keys()) if (!known.has(id)) spooling.delete(id)
      const silent = blindTime
        .peers()
        .filter(({ seenAt, address }) => address !== null && now() - seenAt > silentAfterMs)
      await Promise.all(silent.map(look))
    },

    close: (): Promise<void> => agent.close(),
  }
}
