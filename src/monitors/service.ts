import { randomUUID } from 'node:crypto'
import type { Actor, WriteAudit } from '../audit/store.ts'
import type { BlindTime } from '../blind-time/service.ts'
import { AppError } from '../core/errors.ts'
import { isUuid } from '../core/identifier.ts'
import { isoMillis } from '../core/instant.ts'
import { defaultSettings, type Monitor, rulesOf, type Settings, type WatchedMonitor } from '../core/monitor.ts'
import {
  type Change,
  deadlineOf,
  type Flip,
  onPause,
  onReschedule,
  onResume,
  onTime,
  type State,
} from '../core/status.ts'
import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import { changesOf, settingChanges } from './changes.ts'
import { replaceChannels, selectChannelNames } from './channels-store.ts'
import { type CheckDocument, checkDocument } from './document.ts'
import type { CheckInput, UniqueField } from './schema.ts'
import { createSlugs } from './slugs.ts'
import * as store from './store.ts'

/** What is to become of a monitor. */
export type Decision = { monitor: WatchedMonitor; state: State; flips: readonly store.CausedFlip[] }

/** Decides about monitors that are locked, in one transaction; `within` is done beside writing the decisions. */
export type Plan = (
  locked: readonly WatchedMonitor[],
  tx: Queryable,
) => Promise<{ decisions: readonly Decision[]; within?: () => Promise<void> }>

/** A change whose lock took too long is begun again. */
const attemptsMax = 3

const rescheduling = ['kind', 'schedule', 'tz', 'timeoutS'] as const

type Edit = {
  settings: Partial<Settings>
  channelIds?: string[] | undefined
  alter?: (state: State) => Change
}

export type Caller = Actor & { projectId: string }

export type Monitors = ReturnType<typeof createMonitors>

export function createMonitors(options: {
  database: Database
  writeAudit: WriteAudit
  blindTime: Pick<BlindTime, 'windows' | 'isCurrent' | 'record'>
  siteUrl: () => string
  countFlip: (flip: Flip, projectId: string) => void
  log: { info(o: object, message: string): void }
}) {
  const { database, writeAudit, blindTime, siteUrl } = options
  const { windows } = blindTime
  const now = () => database.clock.now()
  const listeners: (() => void)[] = []

  function announce(decisions: readonly Decision[]): void {
    if (!decisions.some(({ flips }) => flips.length > 0)) return
    for (const { monitor, flips } of decisions) {
      for (const flip of flips) {
        const { from, to, reason, requestId } = flip
        options.countFlip(flip, monitor.projectId)
        const line = { event: 'flip', check: monitor.id, from, to, reason, at: isoMillis(flip.at), requestId }
        options.log.info(line, 'status changed')
      }
    }
    for (const listener of listeners) listener()
  }

  /**
   * The one path on which heartbeats and deadlines change a status: locks the monitors, lets `plan` decide, writes the
   * decisions with their flips. The plan is made anew if PostgreSQL breaks the transaction off.
   */
  async function change(ids: readonly string[], plan: Plan): Promise<void> {
    await knowBlindTime()
    const written = await database.transaction(async (tx) => {
      const { decisions, within } = await plan(await store.lockMonitors(tx, ids), tx)
      // At once, not one after the other: they share a round trip.
      await Promise.all([decisions.length > 0 && store.writeChanges(tx, decisions.map(dated)), within?.()])
      return decisions
    })
    announce(written)
  }

  /** After an outage the first heartbeat may come before anything else has noticed the gap: it must not be judged without it. */
  async function knowBlindTime(): Promise<void> {
    if (!blindTime.isCurrent()) await blindTime.record()
  }

  /** `look_at` moves only where it must, because it is indexed and `deadline` is not. */
  function dated(decision: Decision): store.DecidedChange {
    const { monitor, state } = decision
    const deadline = deadlineOf(rulesOf(monitor.settings), state, windows())
    const kept = deadline !== null && monitor.lookAt !== null && monitor.lookAt <= deadline && monitor.lookAt > now()
    return { ...decision, deadline, lookAt: kept ? monitor.lookAt : deadline }
  }

  /** Applies what time has done to a monitor before something else is done to it, so that both changes are told. */
  function settled(monitor: WatchedMonitor, alter: (state: State) => Change, requestId?: string): Decision {
    const timed = onTime(rulesOf(monitor.settings), monitor.state, now(), windows())
    const next = alter(timed.state)
    const asked = next.flip && { ...next.flip, requestId }
    return { monitor, state: next.state, flips: [timed.flip, asked].filter((flip) => flip !== null) }
  }

  async function resolveChannels(tx: Queryable, projectId: string, text: string): Promise<string[]> {
    if (text === '') return []
    const known = await selectChannelNames(tx, projectId)
    if (text === '*') return known.map(({ id }) => id)
    return text.split(',').map((identifier) => {
      if (identifier === '') throw new AppError('bad_request', 'empty channel identifier', { field: 'channels' })
      const matches = known.filter(({ id, name }) => id === identifier || name === identifier)
      if (matches.length === 1) return (matches[0] as { id: string }).id
      const problem = matches.length === 0 ? 'invalid' : 'non-unique'
      throw new AppError('bad_request', `${problem} channel identifier: ${identifier}`, { field: 'channels' })
    })
  }

  /** Of the caller's project, or the error that the Healthchecks API gives. */
  async function find(on: Queryable, projectId: string, id: string): Promise<store.MonitorWithChannels> {
    const monitor = isUuid(id) ? await store.selectMonitor(on, id) : null
    if (monitor === null) throw new AppError('not_found', 'not found')
    if (monitor.projectId !== projectId) throw new AppError('forbidden', 'wrong api key')
    return monitor
  }

  /** Changes settings, the state (`alter`) or both, and re-reckons the deadline by the rules that hold from now on. */
  async function save(caller: Caller, id: string, action: string, edit: Edit): Promise<void> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      await knowBlindTime()
      const written = await database.transaction((tx) => saveIn(tx, caller, id, action, edit))
      if (written !== null) return announce([written])
    }
    throw new AppError('unavailable', 'the database took too long, try again', { retryAfterS: 1 })
  }

  /** Null, and nothing is changed, if the lock took as long as an outage: what is known of blind time is too old to judge by. */
  async function saveIn(
    tx: Queryable,
    caller: Caller,
    id: string,
    action: string,
    edit: Edit,
  ): Promise<Decision | null> {
    const before = await store.lockMonitor(tx, id)
    if (before === null) throw new AppError('not_found', 'not found')
    if (!blindTime.isCurrent()) return null
    const after = { ...before, settings: { ...before.settings, ...edit.settings } }
    // Time first, by the rules that held until now; a tightened schedule takes effect at once.
    const reschedule = rescheduling.some((key) => after.settings[key] !== before.settings[key])
    const alter = (state: State) => {
      const change = edit.alter?.(state) ?? { state, flip: null }
      return reschedule ? { ...change, state: onReschedule(change.state) } : change
    }
    const decision: Decision & { monitor: Monitor } = {
      ...settled(before, alter, caller.requestId),
      monitor: after,
    }
    await store.updateSettings(tx, id, after.settings)
    await store.writeChanges(tx, [dated(decision)])
    const detail = await changesOf(tx, before, { ...decision, channelIds: edit.channelIds })
    if (edit.channelIds) await replaceChannels(tx, id, edit.channelIds)
    await writeAudit(tx, { ...caller, action: `check.${action}`, target: id, detail })
    return decision
  }

  async function editOf(projectId: string, { settings, channels }: CheckInput): Promise<Edit> {
    const channelIds = channels === undefined ? undefined : await resolveChannels(database, projectId, channels)
    if (settings.pausedUntil == null) return { settings, channelIds }
    if (settings.pausedUntil <= now()) {
      throw new AppError('bad_request', 'json validation error: paused_until is not in the future', {
        field: 'paused_until',
      })
    }
    return { settings, channelIds, alter: (state) => onPause(state, now()) }
  }

  return {
    change,

    /** Called after flips have been committed: a hint, the outbox is the truth. */
    onFlips(listener: () => void): void {
      listeners.push(listener)
    },

    async create(caller: Caller, input: CheckInput): Promise<{ id: string; created: boolean }> {
      const edit = await editOf(caller.projectId, input)
      const found = await database.transaction(async (tx) => {
        // Look-up and insert under one lock: parallel identical upserts make one check.
        if (input.unique.length > 0) await store.serialiseCreation(tx, caller.projectId)
        const match = await findUnique(tx, caller.projectId, input)
        if (match) return match
        const settings = { ...defaultSettings, ...input.settings }
        const id = randomUUID()
        await store.insertMonitor(tx, {
          id,
          projectId: caller.projectId,
          badgeKey: randomUUID(),
          createdAt: now(),
          settings,
        })
        await replaceChannels(tx, id, edit.channelIds ?? [])
        const { after } = settingChanges(defaultSettings, settings)
        await writeAudit(tx, { ...caller, action: 'check.create', target: id, detail: { after } })
        return { id, created: true }
      })
      if (!found.created || edit.alter) await save(caller, found.id, 'update', edit)
      return found
    },

    async update(caller: Caller, id: string, input: CheckInput): Promise<void> {
      await find(database, caller.projectId, id)
      await save(caller, id, 'update', await editOf(caller.projectId, input))
    },

    async pause(caller: Caller, id: string): Promise<void> {
      await find(database, caller.projectId, id)
      await save(caller, id, 'pause', { settings: { pausedUntil: null }, alter: (state) => onPause(state, now()) })
    },

    async resume(caller: Caller, id: string): Promise<void> {
      const monitor = await find(database, caller.projectId, id)
      const { state } = onTime(rulesOf(monitor.settings), monitor.state, now(), windows())
      if (state.status !== 'paused') throw new AppError('conflict', 'check is not paused')
      await save(caller, id, 'resume', { settings: { pausedUntil: null }, alter: (paused) => onResume(paused, now()) })
    },

    /** Returns the document of what was deleted. */
    async remove(caller: Caller, id: string): Promise<CheckDocument> {
      const monitor = await find(database, caller.projectId, id)
      await database.transaction(async (tx) => {
        await store.deleteMonitor(tx, caller.projectId, id)
        const { after: before } = settingChanges(defaultSettings, monitor.settings)
        await writeAudit(tx, { ...caller, action: 'check.delete', target: id, detail: { before } })
      })
      return document(monitor, false)
    },

    async get(projectId: string, id: string, readOnly: boolean): Promise<CheckDocument> {
      return document(await find(database, projectId, id), readOnly)
    },

    /** Those with every one of `tags` (whole words) and, if given, exactly this slug; in order of creation. */
    async list(
      projectId: string,
      filter: { tags: readonly string[]; slug: string | null },
      readOnly: boolean,
    ): Promise<CheckDocument[]> {
      const monitors = await store.selectMonitors(database, projectId, filter.slug)
      const tagged = monitors.filter(({ settings }) => {
        const own = settings.tags.split(/\s+/)
        return filter.tags.every((tag) => tag !== '' && own.includes(tag))
      })
      return tagged.map((monitor) => document(monitor, readOnly))
    },

    ...createSlugs({ database, writeAudit }),
    find: (projectId: string, id: string) => find(database, projectId, id),
    exists: async (id: string): Promise<boolean> => (await store.selectMonitor(database, id)) !== null,
    due: (before: number, limit: number): Promise<string[]> => store.selectDue(database, before, limit),
    countByStatus: () => store.countByStatus(database),
  }

  function document(monitor: store.MonitorWithChannels, readOnly: boolean): CheckDocument {
    return checkDocument(monitor, { siteUrl: siteUrl(), now: now(), windows: windows() }, readOnly)
  }

  async function findUnique(tx: Queryable, projectId: string, { unique, settings }: CheckInput) {
    if (unique.length === 0) return null
    const field = { name: 'name', slug: 'slug', tags: 'tags', timeout: 'timeoutS', grace: 'graceS' } satisfies Record<
      UniqueField,
      keyof Settings
    >
    if (unique.some((name) => settings[field[name]] === undefined)) return null
    const monitors = await store.selectMonitors(tx, projectId, null)
    const match = monitors.find((m) => unique.every((name) => m.settings[field[name]] === settings[field[name]]))
    return match ? { id: match.id, created: false } : null
  }
}
