import { isoMillis } from '../../kit/instant.ts'
import type { ClaimedDelivery } from '../queue-store.ts'
import type { Outcome } from './outcome.ts'

export type NotificationLog = {
  info(o: object, message: string): void
  warn(o: object, message: string): void
  error(o: object, message: string): void
}

/** One line for what came of an attempt. */
export function report(
  log: NotificationLog,
  delivery: Pick<ClaimedDelivery, 'id' | 'channelId' | 'kind' | 'attempts' | 'requestId'>,
  outcome: Outcome,
): void {
  const { status, detail: reason, nextAttemptAt } = outcome
  const line = {
    event: `delivery.${status === 'retrying' ? 'retry' : status}`,
    delivery: delivery.id,
    channel: delivery.channelId,
    kind: delivery.kind,
    attempt: delivery.attempts,
    requestId: delivery.requestId ?? undefined,
    ...(reason !== null && { reason }),
  }
  if (status === 'sent') log.info(line, 'alert sent')
  else if (status === 'suppressed') log.info(line, 'alert suppressed')
  else if (status === 'dead') log.error(line, 'alert given up')
  else {
    const nextAttempt = nextAttemptAt === null ? null : isoMillis(nextAttemptAt)
    log.warn({ ...line, nextAttempt }, 'alert failed, will be retried')
  }
}
