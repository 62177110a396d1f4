// Keeps acknowledged heartbeats that the database refuses even one at a time. They are kept as they were in the spool,
// so that nothing is lost and nothing waits for them; the operator can list them, retry them (for example after an
// update) or discard them. Those that failed only because of a time limit, for example behind a lock, are retried
// automatically.

import { createHash } from 'node:crypto'
import { v5 as uuidv5 } from 'uuid'
import type { AuditEntry, WriteAudit } from '../../audit/store.ts'
import { columns } from '../../core/columns.ts'
import { AppError } from '../../core/errors.ts'
import type { HeartbeatKind } from '../../core/heartbeat.ts'
import { brokenRule, cleanText } from '../../core/storable.ts'
import type { Database } from '../../database/service.ts'
import { isOutOfTime } from '../../kit/availability.ts'
import { isUuid } from '../../kit/identifier.ts'
import { isoMillis } from '../../kit/instant.ts'
import { type Outcome, projectIdOf, type Received } from '../signal.ts'
import { problemOf, storable } from '../storable.ts'
import { decodeHeartbeat, encodeHeartbeat } from './heartbeat-record.ts'
import * as store from './quarantine-store.ts'

export type Quarantine = ReturnType<typeof createQuarantine>

export type QuarantineDocument = {
  id: string
  quarantined_at: string
  received_at: string | null
  project: string | null
  check: string | null
  kind: string | null
  bytes: number
  code: string
  rule: string
  attempts: number
  next_attempt: string | null
}

/** The results of a retry: recorded, without a check of their sender's, still refused. */
export type RetrySummary = { recorded: number; dropped: number; kept: number }

type By = Pick<AuditEntry, 'actor' | 'requestId' | 'address'>

const retryMax = 1000
const dueMax = 50
const retryEveryMs = 30_000
const listedMax = 100
const namespace = '6f1c9a52-0b0e-4c4e-9a57-3a1f1f0f2a10'

export function createQuarantine(options: {
  database: Pick<Database, 'query' | 'transaction' | 'clock'>
  entriesMax: number
  /** For each heartbeat an outcome or an error; rejects only if the database cannot be reached. */
  write: (entries: Received[]) => Promise<(Outcome | Error)[]>
  writeAudit: WriteAudit
  count: (kind: HeartbeatKind, outcome: 'quarantined' | 'dropped', n: number) => void
  log: { info(o: object, message: string): void; error(o: object, message: string): void }
}) {
  const { database, entriesMax, write, writeAudit, count, log } = options
  let entries = 0

  async function keep(all: readonly store.Quarantined[], kindOf: (id: string) => HeartbeatKind): Promise<void> {
    if (all.length === 0) return
    const kept: string[] = []
    const lost: string[] = []
    for (const one of all) ((await store.insertQuarantined(database, one, entriesMax)) ? kept : lost).push(one.id)
    for (const id of kept) count(kindOf(id), 'quarantined', 1)
    for (const id of lost) count(kindOf(id), 'dropped', 1)
    if (kept.length > 0) {
      const codes = [...new Set(all.map(({ code, rule }) => code || rule))].slice(0, listedMax)
      const line = { event: 'quarantine.added', heartbeats: kept.length, ids: kept.slice(0, listedMax), codes }
      log.error(line, 'heartbeats that were acknowledged cannot be written; they are kept in the quarantine')
    }
    if (lost.length > 0) {
      const line = { event: 'quarantine.full', heartbeats: lost.length, ids: lost.slice(0, listedMax), entriesMax }
      log.error(line, 'the quarantine is full: heartbeats that cannot be written were dropped')
    }
    entries = await store.countQuarantined(database)
  }

  async function retry(rows: readonly store.QuarantineRow[]): Promise<RetrySummary> {
    const readable = rows.flatMap(({ id, payload }) => {
      const received = decodeHeartbeat(payload)
      return received === null || problemOf(received) !== null ? [] : [{ id, received: storable(received) }]
    })
    const outcomes = await write(readable.map(({ received }) => received))
    const done: string[] = []
    let recorded = 0
    for (const [i, { id }] of readable.entries()) {
      const outcome = outcomes[i] as Outcome | Error
      if (outcome instanceof Error) await store.updateFailed(database, { id, ...reasonOf(outcome) })
      else {
        done.push(id)
        if (typeof outcome === 'object' && 'recorded' in outcome) recorded++
      }
    }
    const removed = await store.deleteQuarantined(database, done)
    entries = await store.countQuarantined(database)
    const summary = { recorded, dropped: done.length - recorded, kept: rows.length - removed.length }
    if (done.length > 0)
      log.info({ event: 'quarantine.retried', ...summary }, 'heartbeats of the quarantine were retried')
    return summary
  }

  function reasonOf(error: Error): { code: string; rule: string; nextAttemptAt: number | null } {
    const { code } = error as { code?: unknown }
    const nextAttemptAt = isOutOfTime(error) ? database.clock.now() + retryEveryMs : null
    const rule = isOutOfTime(error) ? 'the database did not finish in time' : 'the database refuses it'
    return { code: cleanText(columns.quarantined_heartbeats.code, String(code ?? '')), rule, nextAttemptAt }
  }

  return {
    /** Keeps heartbeats with the error of each; rejects if the database cannot be reached. */
    async add(failed: readonly { received: Received; error: Error }[]): Promise<void> {
      const kinds = new Map(failed.map(({ received: { id, kind } }) => [id, kind]))
      const rows = failed.map(({ received, error }) => ({ ...rowOf(received), ...reasonOf(error) }))
      await keep(rows, (id) => kinds.get(id) ?? 'ign')
    },

    /** Keeps heartbeats that break the rule of a column, and payloads that are not heartbeats. */
    async addUnfit(unfit: readonly Received[], unreadable: readonly Buffer[]): Promise<void> {
      const rows = unfit.map((received) => {
        const { field, rule } = problemOf(received) ?? { field: 'heartbeat', rule: 'cannot be stored' }
        return { ...rowOf(received), code: '', rule: `${field} ${rule}`, nextAttemptAt: null }
      })
      await keep([...rows, ...unreadable.map(unreadableRow)], () => 'ign')
    },

    /** Retries what failed because of a time limit, once its next attempt is due. */
    async retryDue(): Promise<void> {
      entries = await store.countQuarantined(database)
      const rows = entries === 0 ? [] : await store.selectDue(database, dueMax)
      if (rows.length > 0) await retry(rows)
    },

    /** As of the last count. */
    entries: (): number => entries,

    async list(
      limit: number,
      after: string | null,
    ): Promise<{ quarantined: QuarantineDocument[]; next: string | null }> {
      const rows = await store.selectPage(database, limit + 1, after)
      const shown = rows.slice(0, limit)
      return {
        quarantined: shown.map(documentOf),
        next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null,
      }
    },

    /** Retries some of them, or the oldest thousand. */
    async retry(by: By, ids: readonly string[] | undefined): Promise<RetrySummary> {
      const rows = await (ids === undefined
        ? store.selectOldest(database, retryMax)
        : store.selectQuarantined(database, ids))
      if (ids !== undefined && rows.length < new Set(ids).size)
        throw new AppError('not_found', 'a heartbeat of ids is not in the quarantine', { field: 'ids' })
      await database.transaction((tx) =>
        writeAudit(tx, {
          ...by,
          action: 'quarantine.retry',
          target: 'quarantine',
          detail: { heartbeats: rows.length },
        }),
      )
      return retry(rows)
    },

    async discard(by: By, id: string): Promise<void> {
      await database.transaction(async (tx) => {
        const removed = await store.deleteQuarantined(tx, [id])
        if (removed.length === 0) throw new AppError('not_found', 'heartbeat not found in the quarantine')
        await writeAudit(tx, { ...by, action: 'quarantine.discard', target: id })
      })
      entries = await store.countQuarantined(database)
    },
  }
}

function rowOf(received: Received): Pick<store.Quarantined, 'id' | 'receivedAt' | 'projectId' | 'checkId' | 'payload'> {
  const { id, at, target } = received
  const payload = encodeHeartbeat(received)
  const uuidOrNull = (text: string | null) => (text !== null && isUuid(text) ? text : null)
  return {
    id,
    receivedAt: brokenRule(columns.heartbeats.received_at, at) === null ? at : null,
    projectId: uuidOrNull(projectIdOf(target)),
    checkId: uuidOrNull(target.by === 'id' ? target.checkId : null),
    payload,
  }
}

function unreadableRow(payload: Buffer): store.Quarantined {
  const rule = 'the record is not a heartbeat'
  const nothing = { receivedAt: null, projectId: null, checkId: null, nextAttemptAt: null }
  return { id: idOf(payload), ...nothing, code: '', rule, payload }
}

/** The same bytes have the same id, so that a repeated replay keeps them once. */
function idOf(payload: Buffer): string {
  return uuidv5(createHash('sha256').update(payload).digest(), namespace)
}

function documentOf(row: store.QuarantineRow): QuarantineDocument {
  const iso = (at: number | null) => (at === null ? null : isoMillis(at))
  return {
    id: row.id,
    quarantined_at: isoMillis(row.quarantinedAt),
    received_at: iso(row.receivedAt),
    project: row.projectId,
    check: row.checkId,
    kind: decodeHeartbeat(row.payload)?.kind ?? null,
    bytes: row.payload.length,
    code: row.code,
    rule: row.rule,
    attempts: row.attempts,
    next_attempt: iso(row.nextAttemptAt),
  }
}
