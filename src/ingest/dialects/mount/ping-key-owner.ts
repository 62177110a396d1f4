import type { FastifyInstance } from 'fastify'
import type { Config } from '../../../config/load.ts'
import { isDatabaseAway } from '../../../kit/availability.ts'
import { type ProjectRef, pingKinds } from '../../signal.ts'
import { withDeadline } from '../../with-deadline.ts'

/** The owner of this ping key; null if there is none. */
export type OwnerOf = (pingKey: string) => Promise<ProjectRef | null>

/** The limit of a look-up while heartbeats are spooled anyway. */
const spoolingLookupMs = 250

/** The hash of a key replaces its owner while the owner cannot be looked up, or not soon enough. */
export function createOwnerOf({ projects, heartbeats }: FastifyInstance, { ingest }: Config): OwnerOf {
  const { failover } = heartbeats
  return async (pingKey) => {
    const asked = projects.authenticate(pingKey)
    try {
      const owner = await (failover
        ? withDeadline(asked, failover.active ? spoolingLookupMs : ingest.divertAfterMs)
        : asked)
      return owner?.kind === 'ping_key' ? { id: owner.projectId } : null
    } catch (error) {
      if (failover && isDatabaseAway(error)) return { keyHash: projects.hashOf(pingKey), kinds: pingKinds }
      throw error
    }
  }
}
