// Flatline monitors itself: each process evaluates what it knows. Every change of an evaluation is an entry in the
// history and a notice to the operators' channels, in one transaction. While the database is away a bounded number of
// changes is kept, and written afterwards.

import { createHash } from 'node:crypto'
import type { Queryable } from '../database/connection/client.ts'
import type { Database } from '../database/service.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { isoMillis } from '../kit/instant.ts'
import { createClearDelay } from './clear-delay.ts'
import { type AlertLevel, type AlertRule, type Measurements, rules, type Targets } from './rules.ts'
import * as store from './store.ts'

const pendingMax = 1000
/** Entries with an id that is older by this number are deleted; ids have gaps, so fewer entries may be kept. */
const keptMax = 10_000

export type ServiceAlertDocument = Omit<store.ServiceAlert, 'at'> & { at: string }

export type ServiceAlerts = ReturnType<typeof createServiceAlerts>

export function createServiceAlerts(options: {
  database: Database
  node: string
  targets: Targets
  /** How long a rule must be better before that is reported, so that a problem that comes and goes is reported once. */
  calmMs: number
  read: () => Promise<Measurements>
  /**
   * Notifies the operators, in the transaction of the entry. `about` is the same for all entries of one rule and node.
   */
  notify: (
    tx: Queryable,
    notice: {
      about: string
      seq: number
      text: { severity: ReturnType<typeof severityOf>; title: string; text: string }
    },
  ) => Promise<unknown>
  log: Record<'error' | 'warn' | 'info', (o: object, message: string) => void>
  now: () => number
}) {
  const { database, node, targets, notify, log, now } = options
  const reportable = createClearDelay(options)
  const levels = new Map<AlertRule, AlertLevel>()
  const pending: Omit<store.ServiceAlert, 'id'>[] = []
  let known = false

  /** Problems that an earlier process of this name left open. */
  async function recall(): Promise<void> {
    for (const { rule, level } of await store.selectLatest(database, node))
      if (level !== 'RESOLVED' && Object.hasOwn(rules, rule)) levels.set(rule as AlertRule, level)
    known = true
  }

  function evaluate(reading: Measurements): void {
    for (const [rule, evaluateRule] of Object.entries(rules) as [AlertRule, (typeof rules)[AlertRule]][]) {
      const evaluation = reportable(rule, levels.get(rule), evaluateRule(reading, targets))
      if (evaluation === undefined) continue
      const before = levels.get(rule)
      if (before === evaluation?.level) continue
      if (evaluation) levels.set(rule, evaluation.level)
      else levels.delete(rule)
      const level = evaluation?.level ?? 'RESOLVED'
      const text = evaluation?.text ?? 'the problem is over'
      const line = { event: 'service.alert', rule, alertLevel: level, reason: text }
      log[level === 'RESOLVED' ? 'info' : 'warn'](line, 'the state of this service has changed')
      if (pending.length < pendingMax) pending.push({ at: now(), node, rule, level, text })
    }
  }

  async function flush(): Promise<void> {
    for (let next = pending[0]; next !== undefined; next = pending[0]) {
      const alert = next
      await write(alert).catch((err) => {
        if (isDatabaseAway(err)) throw err
        const line = { err, event: 'service.alert_not_written', rule: alert.rule, alertLevel: alert.level }
        log.error(line, 'an alert about the service itself cannot be written and is dropped, so that the next ones are')
      })
      pending.shift()
    }
  }

  async function write(alert: Omit<store.ServiceAlert, 'id'>): Promise<void> {
    await database.transaction(async (tx) => {
      const seq = await store.insertServiceAlert(tx, alert)
      await store.deleteUntil(tx, seq - keptMax)
      const title = `Flatline on ${node}: ${alert.rule.replace('_', ' ')} ${alert.level.toLowerCase()}`
      await notify(tx, {
        about: subjectOf(node, alert.rule),
        seq,
        text: { severity: severityOf(alert.level), title, text: alert.text },
      })
    })
  }

  return {
    /** One evaluation. Rejects while its changes cannot be written; they are kept. */
    async look(): Promise<void> {
      if (!known) await recall()
      evaluate(await options.read())
      await flush()
    },

    /** Newest first; `next` is the `after` of the next page. */
    async list(after: number | null, limit: number): Promise<{ alerts: ServiceAlertDocument[]; next: string | null }> {
      const rows = await store.selectServiceAlerts(database, after, limit + 1)
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return {
        alerts: page.map((row) => ({ ...row, at: isoMillis(row.at) })),
        next: rows.length > limit && last ? String(last.id) : null,
      }
    },
  }
}

const severityOf = (level: store.ServiceAlert['level']) => level.toLowerCase() as Lowercase<typeof level>

function subjectOf(node: string, rule: string): string {
  const hex = createHash('sha256').update(`${node}/${rule}`).digest('hex')
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5')
}
