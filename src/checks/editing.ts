// Changes by people: settings, channels, pause, resume, creation and deletion. Each change is one transaction, with its
// audit entry.

import { randomUUID } from 'node:crypto'
import { parse as uuidBytes } from 'uuid'
import { retirePushToken, selectRetiredBy } from '../accounts/retired-addresses-store.ts'
import type { Actor, WriteAudit } from '../audit/store.ts'
import type { BlindTime } from '../blind-time/service.ts'
import { rulesOf, type WatchedCheck } from '../core/check.ts'
import { AppError } from '../core/errors.ts'
import { type Change, onPause, onReschedule, onResume, onTime, type State } from '../core/status.ts'
import type { Queryable } from '../database/connection/client.ts'
import type { DatabaseSession } from '../database/service.ts'
import type { Quotas } from '../quotas/service.ts'
import { changesOf, settingChanges } from './changes.ts'
import { type Check, defaultSettings, type Settings } from './fields/fields.ts'
import type { CheckInput } from './fields/schema.ts'
import { type CheckWithChannels, selectBadgeKeyTaken, selectExists, selectIdByFields } from './listing-store.ts'
import { channelFinder } from './relations/channel-names.ts'
import { replaceChannels, selectChannelNames } from './relations/channels-store.ts'
import { clearParent, selectPlaceBelow } from './relations/parents-store.ts'
import type { Decision } from './service.ts'
import { selectByTokens } from './slugs-store.ts'
import * as store from './store.ts'

/** A change that waited too long for its lock starts again. */
const attemptsMax = 3

const uniqueViolation = '23505'

const rescheduling = ['kind', 'schedule', 'tz', 'timeoutS'] as const

type Edit = {
  settings: Partial<Settings>
  derived?: CheckInput['derived'] | undefined
  channelIds?: string[] | undefined
  alter?: (state: State) => Change
}

/** What to change; `channels` are ids and names. */
export type EditInput = Pick<CheckInput, 'settings'> &
  Partial<Pick<CheckInput, 'derived'>> & { channels: string | readonly string[] | undefined }

export type Editor = Actor & { projectId: string }

/** Cancels the unfinished deliveries of a check that is being deleted. */
export type CancelDeliveries = (tx: Queryable, checkId: string, now: number) => Promise<void>

/** Deletes what another module stores about an earlier check with the same uuid. */
export type DeleteHistory = (tx: Queryable, checkId: string) => Promise<void>

export type EditingOptions = {
  database: DatabaseSession
  writeAudit: WriteAudit
  quotas: Pick<Quotas, 'admitCheck'>
  cancelDeliveries: CancelDeliveries
  deleteHistory: readonly DeleteHistory[]
  blindTime: Pick<BlindTime, 'windows' | 'isCurrent'>
  find: (projectId: string, id: string) => Promise<CheckWithChannels>
  announce: (decisions: readonly Decision[]) => void
  /** Ids of the channels that a new check gets if its creator names none. */
  defaultChannels: (projectId: string) => readonly string[]
  refreshBlindTime: () => Promise<void>
  withDeadline: (decision: Decision) => store.DecidedChange
  afterElapsedTime: (check: WatchedCheck, alter: (state: State) => Change, requestId?: string) => Decision
}

export function createEditing(options: EditingOptions) {
  const { database, writeAudit, blindTime, find, announce, refreshBlindTime, withDeadline, afterElapsedTime } = options
  const { windows } = blindTime
  const now = () => database.clock.now()

  async function resolveChannels(projectId: string, wanted: string | readonly string[]): Promise<string[]> {
    return wanted.length === 0 ? [] : channelFinder(await selectChannelNames(database, projectId))(wanted)
  }

  /** A default channel may have been deleted meanwhile. */
  async function defaultsOf(tx: Queryable, projectId: string): Promise<string[]> {
    const defaults = options.defaultChannels(projectId)
    if (defaults.length === 0) return []
    return (await selectChannelNames(tx, projectId)).flatMap(({ id }) => (defaults.includes(id) ? [id] : []))
  }

  /**
   * A parent must be of the same project, and no descendant may be an ancestor. The caller holds the lock, so two
   * simultaneous calls cannot create a cycle.
   */
  async function checkParent(tx: Queryable, projectId: string, id: string | null, parent: string): Promise<void> {
    const { known, cycle } = await selectPlaceBelow(tx, projectId, parent, id)
    const problem = known ? cycle && 'would be its own descendant' : 'is not a check of this project'
    if (problem) throw new AppError('bad_request', `json validation error: parent ${problem}`, { field: 'parent' })
  }

  /** Changes settings, the state (`alter`) or both, and computes the deadline by the new rules. */
  async function save(caller: Editor, id: string, action: string, edit: Edit): Promise<void> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      await refreshBlindTime()
      const written = await database.transaction((tx) => saveIn(tx, caller, id, action, edit))
      if (written !== null) return announce([written])
    }
    throw new AppError('unavailable', 'the database took too long, try again', { retryAfterS: 1 })
  }

  /**
   * Returns null and changes nothing if the lock took so long that the record of blind time is too old to decide by.
   */
  async function saveIn(
    tx: Queryable,
    caller: Editor,
    id: string,
    action: string,
    edit: Edit,
  ): Promise<Decision | null> {
    if (edit.settings.parent) await store.serialise(tx, caller.projectId)
    const before = await store.lockCheck(tx, id)
    if (before === null) throw new AppError('not_found', 'not found')
    if (!blindTime.isCurrent()) return null
    const after = { ...before, settings: changed(before.settings, edit) }
    // Deadlines first, by the old rules; a stricter schedule takes effect at once.
    const reschedule = rescheduling.some((key) => after.settings[key] !== before.settings[key])
    const alter = (state: State) => {
      const change = edit.alter?.(state) ?? { state, flip: null }
      return reschedule ? { ...change, state: onReschedule(change.state) } : change
    }
    const decision: Decision & { check: Check } = {
      ...afterElapsedTime(before, alter, caller.requestId),
      check: after,
    }
    const { parent } = after.settings
    if (parent !== null && parent !== before.settings.parent) await checkParent(tx, caller.projectId, id, parent)
    await moveToken(tx, caller.projectId, id, before.settings.pushToken, after.settings.pushToken)
    await store.updateSettings(tx, id, after.settings)
    await store.writeChanges(tx, [withDeadline(decision)])
    const detail = await changesOf(tx, before, { ...decision, channelIds: edit.channelIds })
    if (edit.channelIds) await replaceChannels(tx, id, edit.channelIds)
    await writeAudit(tx, { ...caller, action: `check.${action}`, target: id, detail })
    return decision
  }

  async function editOf(projectId: string, { settings, derived, channels }: EditInput): Promise<Edit> {
    const channelIds = channels === undefined ? undefined : await resolveChannels(projectId, channels)
    if (settings.pausedUntil == null) return { settings, derived, channelIds }
    if (settings.pausedUntil <= now()) {
      throw new AppError('bad_request', 'json validation error: paused_until is not in the future', {
        field: 'paused_until',
      })
    }
    return { settings, derived, channelIds, alter: (state) => onPause(state, now()) }
  }

  /**
   * An id from the caller may have belonged to another check. If that was in the same project, its history must not
   * become the history of this check. If it was in another project, its jobs may still send to it, so the id stays
   * reserved for that project.
   */
  async function makeWay(
    tx: Queryable,
    projectId: string,
    { id, badgeKey }: { id: string; badgeKey: string },
  ): Promise<void> {
    const isForeign = async (kind: 'check' | 'check_badge', uuid: string) => {
      const owner = await selectRetiredBy(tx, kind, Buffer.from(uuidBytes(uuid)))
      return owner !== null && owner !== projectId
    }
    if (await selectExists(tx, id)) throw taken('uuid', 'check')
    if (await isForeign('check', id)) throw taken('uuid', 'project')
    if ((await selectBadgeKeyTaken(tx, badgeKey)) || (await isForeign('check_badge', badgeKey)))
      throw taken('badge_key', 'check')
    await store.deleteFlips(tx, id)
    for (const deleteHistory of options.deleteHistory) await deleteHistory(tx, id)
  }

  /** Jobs may still send to a token that was given up: it stays reserved for the project. */
  async function moveToken(
    tx: Queryable,
    projectId: string,
    id: string,
    from: string | null,
    to: string | null,
  ): Promise<void> {
    if (from === to) return
    if (from !== null) await retirePushToken(tx, id)
    if (to === null) return
    if ((await selectByTokens(tx, [to])).length > 0) throw taken('push_token', 'check')
    const owner = await selectRetiredBy(tx, 'push_token', Buffer.from(to))
    if (owner !== null && owner !== projectId) throw taken('push_token', 'project')
  }

  return {
    /** `identity` is the identity of a check that moves here, or comes back. */
    async create(
      caller: Editor,
      input: EditInput & Pick<CheckInput, 'match'>,
      identity?: { id: string; badgeKey: string },
    ): Promise<{ id: string; created: boolean }> {
      const { projectId } = caller
      const edit = await editOf(projectId, input)
      const made = database.transaction(async (tx) => {
        // Look-up and insert under one lock: parallel identical upserts make one check.
        if (input.match || input.settings.parent) await store.serialise(tx, projectId)
        const match = input.match && (await selectIdByFields(tx, projectId, input.match))
        if (match) return { id: match, created: false }
        await options.quotas.admitCheck(tx, projectId, () => store.serialise(tx, projectId))
        const settings = changed(defaultSettings, edit)
        if (settings.parent !== null) await checkParent(tx, projectId, null, settings.parent)
        const { id, badgeKey } = identity ?? { id: randomUUID(), badgeKey: randomUUID() }
        if (identity) await makeWay(tx, projectId, identity)
        await moveToken(tx, projectId, id, null, settings.pushToken)
        await store.insertCheck(tx, { id, projectId, badgeKey, createdAt: now(), settings })
        await replaceChannels(tx, id, edit.channelIds ?? (await defaultsOf(tx, projectId)))
        const { after } = settingChanges(defaultSettings, settings)
        await writeAudit(tx, { ...caller, action: 'check.create', target: id, detail: { after } })
        return { id, created: true }
      })
      const found = await made.catch((error: { code?: string }) => {
        // Two callers provided the same id at the same time.
        throw identity && error.code === uniqueViolation ? taken('uuid', 'project') : error
      })
      if (!found.created) await save(caller, found.id, 'update', edit)
      else if (edit.alter) await save(caller, found.id, 'update', { settings: {}, alter: edit.alter })
      return found
    },

    async update(caller: Editor, id: string, input: EditInput): Promise<void> {
      await find(caller.projectId, id)
      await save(caller, id, 'update', await editOf(caller.projectId, input))
    },

    async pause(caller: Editor, id: string): Promise<void> {
      await find(caller.projectId, id)
      await save(caller, id, 'pause', { settings: { pausedUntil: null }, alter: (state) => onPause(state, now()) })
    },

    async resume(caller: Editor, id: string): Promise<void> {
      const check = await find(caller.projectId, id)
      const { state } = onTime(rulesOf(check.settings), check.state, now(), windows())
      if (state.status !== 'paused') throw new AppError('conflict', 'check is not paused')
      await save(caller, id, 'resume', { settings: { pausedUntil: null }, alter: (paused) => onResume(paused, now()) })
    },

    /** Returns the deleted check. */
    async remove(caller: Editor, id: string): Promise<CheckWithChannels> {
      const check = await find(caller.projectId, id)
      await database.transaction(async (tx) => {
        await store.serialise(tx, caller.projectId)
        await store.deleteCheck(tx, caller.projectId, id)
        await options.cancelDeliveries(tx, id, now())
        await clearParent(tx, caller.projectId, id)
        const { after: before } = settingChanges(defaultSettings, check.settings)
        await writeAudit(tx, { ...caller, action: 'check.delete', target: id, detail: { before } })
      })
      return check
    },
  }
}

function changed(before: Settings, { settings, derived }: Edit): Settings {
  return { ...before, ...settings, ...derived?.(before) }
}

function taken(what: 'uuid' | 'badge_key' | 'push_token', whose: 'check' | 'project'): AppError {
  return new AppError('conflict', `${what} is taken by another ${whose}`, { field: what })
}
