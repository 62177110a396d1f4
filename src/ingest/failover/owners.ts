// The owners of heartbeats while the database is away, from the checks and keys that were seen before.

import { networkOf } from '../../kit/network.ts'
import type { RecordOwner } from '../../spool/spool.ts'
import type { Received } from '../service.ts'
import { createKnownChecks } from './known-checks.ts'

export type OwnerLookups = {
  /** The share of the spool that a project may fill, from 0 to 1. Makes no query. */
  shareOf: (projectId: string) => number
  /** The project whose key had this hash when it was last used; null if it is not known. Makes no query. */
  projectOfKey: (hash: string) => string | null
  /** The projects of those checks that exist, by their ids. */
  projectsOf: (checkIds: readonly string[]) => Promise<ReadonlyMap<string, string>>
}

const learntAtOnce = 5000
const known = { maxEntries: 100_000 }

export function createSpoolOwners(options: OwnerLookups) {
  const checks = createKnownChecks(known)

  return {
    /** Remembers that the check exists, and its project if that is known. */
    rememberCheck: checks.add,

    /** The project, if the check or the key existed when last seen; otherwise the sender's network. */
    ownerOf(received: Received): RecordOwner {
      const { checkId, slug, uploader, pingKeyHash, from, remoteAddr } = received
      const hash = uploader === null ? pingKeyHash : uploader.keyHash
      const byKey = slug?.projectId || uploader?.projectId || (hash === null ? null : options.projectOfKey(hash))
      // A heartbeat with a key belongs to the owner of the key.
      const byId = slug === null && uploader === null ? checks.projectOf(checkId) : undefined
      const projectId = byKey ?? byId
      if (projectId === undefined) return { stranger: networkOf(from ?? slug?.address ?? remoteAddr, 32, 64) }
      return projectId === '' ? { id: null, share: 1 } : { id: projectId, share: options.shareOf(projectId) }
    },

    /** Looks up the projects of checks that were remembered since the last call. */
    async lookUpProjects(): Promise<void> {
      const ids = checks.unlearnt(learntAtOnce)
      if (ids.length === 0) return
      for (const [id, projectId] of await options.projectsOf(ids)) checks.add(id, projectId)
      checks.asked(ids.length)
    },
  }
}
