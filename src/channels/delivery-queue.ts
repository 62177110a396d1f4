// What channels need from the queue of deliveries, which belongs to notifications/. Every function runs in the caller's
// transaction.

import type { Queryable } from '../database/connection/client.ts'
import type { NoticeText } from '../messages/message.ts'

/**
 * For each enabled channel of the project of one of these kinds. Notices with the same `about` are sent in the order of
 * `seq`.
 */
type ProjectNotice = {
  projectId: string
  about: string
  seq: number
  text: NoticeText
  kinds: readonly string[]
}

export type DeliveryQueue = {
  /** Returns how many deliveries it has queued. */
  insertProjectNotice(tx: Queryable, notice: ProjectNotice, now: number): Promise<number>
  /** Queues the mail that asks the recipient of a channel for confirmation. */
  insertConfirmationRequest(
    tx: Queryable,
    channel: { id: string; projectId: string },
    text: NoticeText,
    now: number,
  ): Promise<void>
  /** Cancels the unfinished deliveries of a channel that is being deleted. */
  cancelOfChannel(tx: Queryable, id: string, now: number): Promise<void>
}
