// The link to a check in a message: whoever has it sees how the check stands, without a key and without learning one, and can change
// nothing. It is encrypted, because the id of a check is the address to which heartbeats are sent, and good for a week.

import { parse, stringify } from 'uuid'
import { AppError } from '../core/errors.ts'
import type { Database } from '../database/service.ts'
import type { CheckDocument } from '../monitors/document.ts'
import { selectAttended } from './attention-store.ts'
import type { Encryption } from './encryption.ts'
import * as store from './looking-store.ts'

const linkForMs = 7 * 86_400_000
const pingsShown = 10
const context = 'link to a check'

export type Look = { check: CheckDocument; since: store.LatestFlip | null; pings: store.SeenPing[] }

export type Looking = ReturnType<typeof createLooking>

export function createLooking(options: {
  database: Database
  encryption: Encryption
  checkDocuments: (checks: readonly { projectId: string; id: string }[]) => Promise<(CheckDocument | null)[]>
  siteUrl: () => string
  now: () => number
}) {
  const { database, encryption, checkDocuments, siteUrl, now } = options

  function read(token: string): string {
    const [id = '', untilS = ''] = opened(token).split('.')
    if (Number.parseInt(untilS, 36) * 1000 < now()) throw new AppError('gone', 'this link is too old')
    return stringify(Buffer.from(id, 'base64url'))
  }

  function opened(token: string): string {
    try {
      return encryption.decrypt(Buffer.from(token, 'base64url'), context)
    } catch {
      throw new AppError('not_found', 'this link is not one of ours')
    }
  }

  return {
    link(monitorId: string): string {
      const id = Buffer.from(parse(monitorId)).toString('base64url')
      const untilS = Math.ceil((now() + linkForMs) / 1000)
      const box = encryption.encrypt(`${id}.${untilS.toString(36)}`, context)
      return `${siteUrl()}/checks/${box.toString('base64url')}`
    },

    async look(token: string): Promise<Look> {
      const id = read(token)
      const found = await selectAttended(database, id)
      const [check = null] = found === null ? [] : await checkDocuments([{ projectId: found.projectId, id }])
      if (check === null) throw new AppError('not_found', 'check not found')
      const [since, pings] = await Promise.all([
        store.selectLatestFlip(database, id),
        store.selectSeenPings(database, id, pingsShown),
      ])
      return { check, since, pings }
    },
  }
}
