// Maintenance windows as people write and read them.

import { randomUUID } from 'node:crypto'
import type { WriteAudit } from '../../audit/store.ts'
import type { Editor } from '../../checks/editing.ts'
import { type MaintenanceTime, openUntil } from '../../core/alerting/maintenance.ts'
import { AppError } from '../../core/errors.ts'
import type { Queryable } from '../../database/connection/client.ts'
import type { DatabaseSession } from '../../database/service.ts'
import { isoMillis, parseInstant } from '../../kit/instant.ts'
import { parseCron } from '../../schedule/cron.ts'
import { readZone } from '../../schedule/legacy-zones.ts'
import * as store from './maintenance-store.ts'

/**
 * Either `from` and `to`, or `cron` and `duration` (seconds). `checks` and `tags` select checks; without both it
 * applies to all.
 */
export type MaintenanceInput = {
  name: string
  from?: string | undefined
  to?: string | undefined
  cron?: string | undefined
  duration?: number | undefined
  tz?: string | undefined
  checks?: string[] | undefined
  tags?: string[] | undefined
}

export type MaintenanceDocument = MaintenanceInput & { id: string; open: boolean }

/** The most windows of a project at once. */
const windowsMax = 1000
/** The most checks and tags that all windows of a project name: each alert is compared with them. */
const namesMax = 20_000
/** A window may name a thousand checks. */
const pageSize = 20

export type Maintenance = ReturnType<typeof createMaintenance>

export function createMaintenance(options: { database: DatabaseSession; writeAudit: WriteAudit; now: () => number }) {
  const { database, writeAudit, now } = options

  async function find(projectId: string, id: string): Promise<store.MaintenanceWindow> {
    const window = await store.selectWindow(database, projectId, id)
    if (window === null) throw notFound()
    return window
  }

  async function write(caller: Editor, id: string, input: MaintenanceInput, before: MaintenanceDocument | null) {
    const { projectId } = caller
    const { name, checks, tags } = input
    const scope = { checks: checks ?? null, tags: tags ?? null }
    const window = { id, name, time: timeOf(input), scope }
    const known = checks === undefined ? [] : await store.selectKnownChecks(database, projectId, checks)
    const strange = checks?.find((check) => !known.includes(check))
    if (strange !== undefined) throw refused('checks', `names ${strange}, which is not a check of this project`)
    const after = documentOf(window, now())
    await database.transaction(async (tx) => {
      await admit(tx, projectId, id, scope)
      await store.writeWindow(tx, projectId, window)
      await store.recheckSuppressed(tx, projectId, now())
      const action = before === null ? 'maintenance.create' : 'maintenance.update'
      await writeAudit(tx, { ...caller, action, target: id, detail: { ...(before && { before }), after } })
    })
    return after
  }

  return {
    create: (caller: Editor, input: MaintenanceInput) => write(caller, randomUUID(), input, null),

    /** In order of creation, page by page. */
    async *list(projectId: string): AsyncGenerator<MaintenanceDocument[], void, undefined> {
      for (let after: store.WindowPosition | null = null; ; ) {
        const { windows, last } = await store.selectWindows(database, projectId, after, pageSize)
        if (windows.length > 0) yield windows.map((window) => documentOf(window, now()))
        if (windows.length < pageSize) return
        after = last
      }
    },

    get: async (projectId: string, id: string) => documentOf(await find(projectId, id), now()),

    /** As a whole. */
    async replace(caller: Editor, id: string, input: MaintenanceInput): Promise<MaintenanceDocument> {
      return write(caller, id, input, documentOf(await find(caller.projectId, id), now()))
    },

    async remove(caller: Editor, id: string): Promise<void> {
      const before = documentOf(await find(caller.projectId, id), now())
      await database.transaction(async (tx) => {
        if (!(await store.deleteWindow(tx, caller.projectId, id))) throw notFound()
        await store.recheckSuppressed(tx, caller.projectId, now())
        await writeAudit(tx, { ...caller, action: 'maintenance.delete', target: id, detail: { before } })
      })
    },
  }
}

/** The input as documents show it; throws `bad_request` if it breaks a rule. */
export function normalised(input: MaintenanceInput): MaintenanceInput {
  const { name, checks, tags } = input
  const window = { id: '', name, time: timeOf(input), scope: { checks: checks ?? null, tags: tags ?? null } }
  const { id: _none, open: _now, ...document } = documentOf(window, 0)
  return document
}

/** If two are created at once the second sees the first. */
async function admit(
  tx: Queryable,
  projectId: string,
  id: string,
  { checks, tags }: store.MaintenanceWindow['scope'],
): Promise<void> {
  await store.serialiseWindows(tx, projectId)
  const others = await store.countOthers(tx, projectId, id)
  if (others.windows >= windowsMax)
    throw new AppError('conflict', `a project has at most ${windowsMax} maintenance windows`)
  if (others.names + (checks?.length ?? 0) + (tags?.length ?? 0) > namesMax)
    throw new AppError('conflict', `the maintenance windows of a project name at most ${namesMax} checks and tags`)
}

function timeOf({ from, to, cron, duration, tz }: MaintenanceInput): MaintenanceTime {
  if (cron !== undefined) {
    if (from !== undefined || to !== undefined)
      throw refused(from === undefined ? 'to' : 'from', 'must not be combined with cron')
    if (parseCron(cron) === null) throw refused('cron', 'is not a valid cron expression')
    if (duration === undefined) throw refused('duration', 'is required with cron')
    const zone = readZone(tz ?? 'UTC')
    if (zone === null) throw refused('tz', 'is not a valid timezone')
    return { kind: 'cron', cron, durationS: duration, tz: zone }
  }
  for (const [field, value] of Object.entries({ duration, tz }))
    if (value !== undefined) throw refused(field, 'is only for a window with cron')
  const once = { from: instantOf('from', from), to: instantOf('to', to) }
  if (once.to <= once.from) throw refused('to', 'must be later than from')
  return { kind: 'once', ...once }
}

function instantOf(field: string, text: string | undefined): number {
  if (text === undefined) throw refused(field, 'is required, or cron and duration')
  const at = parseInstant(text)
  if (at === null) throw refused(field, 'is not an ISO 8601 instant with a zone')
  return at
}

function documentOf({ id, name, time, scope }: store.MaintenanceWindow, now: number): MaintenanceDocument {
  const when =
    time.kind === 'once'
      ? { from: isoMillis(time.from), to: isoMillis(time.to) }
      : { cron: time.cron, duration: time.durationS, tz: time.tz }
  const { checks, tags } = scope
  return {
    id,
    name,
    ...when,
    ...(checks && { checks: [...checks] }),
    ...(tags && { tags: [...tags] }),
    open: openUntil(time, now) !== null,
  }
}

const notFound = () => new AppError('not_found', 'maintenance window not found')
const refused = (field: string, rule: string) => new AppError('bad_request', `${field} ${rule}`, { field })
