// Finds the owner of a heartbeat while the database is unavailable, from the checks, keys and tokens that were used
// before.

import { networkOf } from '../../kit/network.ts'
import type { RecordOwner } from '../../spool/spool.ts'
import { addressOf, projectRefOf, type Received } from '../signal.ts'
import { createKnownChecks } from './known-checks.ts'

export type OwnerLookups = {
  /** The share of the spool that a project may fill, from 0 to 1. Makes no query. */
  shareOf: (projectId: string) => number
  /** The project whose key had this hash when it was last used; null if it is not known. Makes no query. */
  projectOfKey: (hash: string) => string | null
  /** The projects of those checks that exist, by their ids. */
  projectsOf: (checkIds: readonly string[]) => Promise<ReadonlyMap<string, string>>
}

const lookedUpAtOnce = 5000
const known = { maxEntries: 100_000 }

export function createSpoolOwners(options: OwnerLookups) {
  const checks = createKnownChecks(known)
  const projectOwner = (projectId: string) => ({ id: projectId, share: options.shareOf(projectId) })

  return {
    rememberToken: (token: string, projectId: string): void => checks.add(tokenName(token), projectId),

    /** Remembers that the check exists, and its project if that is known. */
    rememberCheck: checks.add,

    /** The project, if the check or the key existed when last seen; otherwise the sender's network. */
    ownerOf({ target, sender }: Received): RecordOwner {
      const ref = projectRefOf(target)
      // A heartbeat with a key belongs to the owner of the key.
      if (ref !== null) {
        const projectId = 'id' in ref ? ref.id : options.projectOfKey(ref.keyHash)
        return projectId === null ? unknownSenderAt(sender.address) : projectOwner(projectId)
      }
      const projectId = checks.projectOf(target.by === 'token' ? tokenName(target.token) : addressOf(target))
      if (projectId === undefined) return unknownSenderAt(sender.address)
      return projectId === null ? { id: null, share: 1 } : projectOwner(projectId)
    },

    /** Looks up the projects of checks that were remembered since the last call. */
    async lookUpProjects(): Promise<void> {
      const ids = checks.unresolved(lookedUpAtOnce)
      if (ids.length === 0) return
      for (const [id, projectId] of await options.projectsOf(ids)) checks.add(id, projectId)
      checks.lookedUp(ids.length)
    },
  }
}

/** Beside the uuids of checks. */
const tokenName = (token: string) => `token ${token}`

function unknownSenderAt(address: string): RecordOwner {
  return { unknownSender: networkOf(address, 32, 64) }
}
