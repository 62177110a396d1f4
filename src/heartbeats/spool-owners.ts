// Whose a heartbeat is while the database is away, by what was seen of checks and keys while it was there.

import { networkOf } from '../core/network.ts'
import { createKnownMonitors } from './known-monitors.ts'
import type { Received } from './service.ts'
import type { SpoolOwner } from './spool.ts'

export type OwnerLookups = {
  /** What a project may fill of the spool, from 0 to 1. Asks nobody. */
  shareOf: (projectId: string) => number
  /** The project whose key had this hash when it was last used; null if it is not known. Asks nobody. */
  projectOfKey: (hash: string) => string | null
  /** Of those of these checks that there are. */
  projectsOf: (monitorIds: readonly string[]) => Promise<ReadonlyMap<string, string>>
}

const learntAtOnce = 5000
const known = { maxEntries: 100_000 }

export function createSpoolOwners(options: OwnerLookups) {
  const monitors = createKnownMonitors(known)

  return {
    /** Remembers that there is this check, and whose it is where that is known. */
    saw: monitors.add,

    /** A check or a key that was there when last seen is known. */
    ownerOf(received: Received): SpoolOwner {
      const { monitorId, slug, uploader, pingKeyHash, from, remoteAddr } = received
      const hash = uploader === null ? pingKeyHash : uploader.keyHash
      const byKey = slug?.projectId || uploader?.projectId || (hash === null ? null : options.projectOfKey(hash))
      // What comes with a key is judged by the key.
      const byId = slug === null && uploader === null ? monitors.projectOf(monitorId) : undefined
      const projectId = byKey ?? byId
      if (projectId === undefined) return { address: networkOf(from ?? slug?.address ?? remoteAddr, 32, 64) }
      return { projectId, share: projectId === '' ? 1 : options.shareOf(projectId) }
    },

    /** Learns whose the checks are that were seen since. */
    async learn(): Promise<void> {
      const ids = monitors.unlearnt(learntAtOnce)
      if (ids.length === 0) return
      for (const [id, projectId] of await options.projectsOf(ids)) monitors.add(id, projectId)
      monitors.asked(ids.length)
    },
  }
}
