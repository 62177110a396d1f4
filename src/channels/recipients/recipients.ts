// A recipient has to agree to mails. Until somebody at the address has confirmed, the project can only send it a
// request for confirmation, whose text is Flatline's own. An address that has unsubscribed has to confirm again.

import { createHash } from 'node:crypto'
import type { WriteAudit } from '../../audit/store.ts'
import { AppError } from '../../core/errors.ts'
import type { Queryable } from '../../database/connection/client.ts'
import type { Database } from '../../database/service.ts'
import type { Visitor } from '../../messages/link-routes.ts'
import type { DeliveryQueue } from '../delivery-queue.ts'
import type { Encryption } from '../secrets/encryption.ts'
import * as store from './recipients-store.ts'

export type Recipients = ReturnType<typeof createRecipients>

/** An address is asked once within this time. */
const askEveryMs = 3_600_000
/** A project may ask this many addresses within that time. */
const askedMax = 10
const validForMs = 7 * 86_400_000
const purpose = 'link to confirm'

const question = {
  severity: 'info' as const,
  title: 'Do you want alerts from Flatline at this address?',
  text: 'Somebody has entered this address as one that gets alerts. If you want them, confirm it. If not, do nothing: you will get no other mail.',
}

export function createRecipients(options: {
  database: Database
  encryption: Encryption
  writeAudit: WriteAudit
  queue: Pick<DeliveryQueue, 'insertConfirmationRequest'>
  siteUrl: () => string
  /** Whether addresses have to confirm at all. */
  confirmRecipients: boolean
  mailsPerHour: number
  now: () => number
}) {
  const { database, encryption, writeAudit, queue, siteUrl, confirmRecipients, mailsPerHour, now } = options

  function opened(token: string): store.RecipientLink {
    let parts: string[]
    try {
      parts = encryption.decrypt(Buffer.from(token, 'base64url'), purpose).split('.')
    } catch {
      throw new AppError('not_found', 'this link is not valid')
    }
    const [hash = '', untilS = ''] = parts
    const until = Number.parseInt(untilS, 36) * 1000
    if (until < now()) throw new AppError('gone', 'this link is too old')
    return { hash: Buffer.from(hash, 'base64url'), madeAt: until - validForMs }
  }

  return {
    /** The address of the page where one recipient confirms for one project. */
    link(projectId: string, address: string): string {
      const untilS = Math.ceil((now() + validForMs) / 1000)
      const text = `${hashOf(projectId, address).toString('base64url')}.${untilS.toString(36)}`
      return `${siteUrl()}/confirm/${encryption.encrypt(text, purpose).toString('base64url')}`
    },

    /** Whether `asks`, the hash in a mail, is that of this address. */
    matches: (projectId: string, address: string, asks: string): boolean =>
      hashOf(projectId, address).toString('hex') === asks,

    async isConfirmed(projectId: string, address: string): Promise<boolean> {
      return !confirmRecipients || store.isConfirmed(database, { projectId, hash: hashOf(projectId, address) })
    },

    /** Queues a mail that asks the channel's address for confirmation, unless the limits above forbid it. */
    async ask(tx: Queryable, channel: { id: string; projectId: string }, address: string): Promise<void> {
      const at = now()
      const recipient = { projectId: channel.projectId, hash: hashOf(channel.projectId, address) }
      if (await store.askRecipient(tx, recipient, { now: at, since: at - askEveryMs, most: askedMax }))
        await queue.insertConfirmationRequest(tx, channel, { ...question, asks: recipient.hash.toString('hex') }, at)
    },

    /** Throws if the link is not valid or has expired. */
    verifyLink: opened,

    /** The name of the project that asks. Throws if the link is not valid or has expired. */
    async projectOf(token: string): Promise<string> {
      const project = await store.selectAskingProject(database, opened(token))
      if (project === null) throw notAsked()
      return project
    },

    async confirm(token: string, visitor: Visitor): Promise<void> {
      const link = opened(token)
      await database.transaction(async (tx) => {
        const projectId = await store.confirmRecipient(tx, link, now())
        if (projectId === null) throw notAsked()
        const target = link.hash.toString('hex')
        await writeAudit(tx, { projectId, ...visitor, action: 'recipient.confirm', target })
      })
    },

    revoke: (tx: Queryable, projectId: string, address: string): Promise<void> =>
      store.revokeRecipient(tx, { projectId, hash: hashOf(projectId, address) }, now()),

    /** Counts one mail of the project; false if the project has reached its limit of the hour. */
    spend: (projectId: string): Promise<boolean> => store.spendMail(database, projectId, mailsPerHour, now()),
  }
}

const notAsked = () => new AppError('not_found', 'this address no longer has to confirm')

/**
 * Addresses are compared case-insensitively. The hash is shortened so that the token of a link fits into one segment of
 * a path.
 */
function hashOf(projectId: string, address: string): Buffer {
  return createHash('sha256').update(`${projectId} ${address.toLowerCase()}`).digest().subarray(0, 16)
}
