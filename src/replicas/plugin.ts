import type { AddressInfo } from 'node:net'
import fp from 'fastify-plugin'
import { createLoop } from '../kit/loop.ts'
import { createAcknowledging } from './acknowledging.ts'
import { addressOf, createIdentity } from './identity.ts'
import { createPeers } from './peers.ts'
import { createReplicaAuthenticator } from './replica-authenticator.ts'
import { replicaRoutes } from './routes.ts'

export type ReplicasOptions = {
  /** Where other replicas reach this one; undefined for the address at which it listens. */
  peerUrl: string | undefined
  bodyLimitBytes: number
}

const probeIntervalMs = 500
const acceptanceIntervalMs = 500
/** Long enough for others to detect that a process is gone, and short compared with the time-outs of clients. */
const acknowledgeAfterMs = 3000
/** How much the other replicas' measurement of that time may differ. */
const marginMs = 250

/**
 * What the replicas exchange: through which instant each is heard, and the heartbeats of a replica that is cut off from
 * the database.
 */
export const replicasPlugin = fp<ReplicasOptions>(
  async (app, { peerUrl, bodyLimitBytes }) => {
    const { blindTime, database, heartbeats, lifecycle, log } = app
    const { failover } = heartbeats
    const { now, monotonic } = database.clock
    const { token, ...identity } = createIdentity(failover?.id)
    blindTime.reportAs({
      ...identity,
      canSpool: failover !== null,
      spools: () => failover !== null && !failover.isEmpty(),
      oldestWaiting: heartbeats.oldestWaiting,
      address: () => peerUrl ?? addressOf(app.server.address() as AddressInfo | null),
    })
    const peers = createPeers({
      ...{ token, blindTime, now, monotonic, log },
      acknowledgeAfterMs: acknowledgeAfterMs - marginMs,
    })
    const probing = createLoop({
      name: 'replicas',
      intervalMs: probeIntervalMs,
      log,
      step: async () => {
        await peers.probeSilent()
        return false
      },
    })
    app.lifecycle.onStart('replicas', async () => probing.start())
    // Others need not wait for a process that has ended cleanly.
    app.addHook('onClose', async () => {
      await probing.stop()
      await peers.close()
      if (failover === null || failover.isEmpty()) await blindTime.forget([identity.id]).catch(() => undefined)
    })

    if (failover !== null) {
      const acknowledging = createAcknowledging({
        monotonic,
        lastReport: blindTime.lastReport,
        hasPeers: blindTime.mayHavePeers,
        delayMs: acknowledgeAfterMs,
      })
      failover.relay({ hold: acknowledging.hold, handOver: peers.handOver })
      const acceptance = setInterval(() => {
        acknowledging.tick()
        if (lifecycle.phase !== 'draining' && failover.hasRoom()) blindTime.accepted()
      }, acceptanceIntervalMs)
      app.addHook('preClose', async () => {
        clearInterval(acceptance)
        acknowledging.close()
      })
    }
    app.authenticators.push(createReplicaAuthenticator(blindTime))
    await app.register(replicaRoutes, {
      replicaId: identity.id,
      blindTime,
      noteSpooling: peers.noteSpooling,
      record: heartbeats.recordSpooled,
      bodyLimitBytes,
    })
  },
  { name: 'replicas', dependencies: ['heartbeats', 'blind-time', 'auth'] },
)
