// A check as a document for a file. A field that is not in the document gets its default, so the document determines
// all settings. Three fields stay unchanged if they are not in the document, because they are often set in other ways:
// the channels, whether the check is paused, and until when.

import { isoMillis } from '../../kit/instant.ts'
import { type Changes, noteChannels, settingChanges } from '../changes.ts'
import { defaultSettings, type Settings, wireFields, wireValue } from '../fields/fields.ts'
import type { CheckWithChannels } from '../listing-store.ts'

/** `parent` refers to a check by uuid, slug or name; `channels` are ids and names. */
export type Definition = {
  uuid: string | null
  badgeKey: string | null
  parent: string | null
  channels: '*' | readonly string[] | undefined
  paused: boolean | undefined
  settings: Omit<Settings, 'parent' | 'pausedUntil'> & { pausedUntil?: number | null }
}

/** The document as it is written. */
export type DefinitionDocument = Record<string, unknown>

const plainFields = wireFields.filter(
  ({ isSchedule, isSpecialInDefinitions }) => !isSchedule && !isSpecialInDefinitions,
)

/** `channelNames` gives a channel's name by its id if no other channel has that name. */
export function toDefinition(
  { id, badgeKey, settings, state, channels }: CheckWithChannels,
  channelNames: ReadonlyMap<string, string>,
  now: number,
): DefinitionDocument {
  const { kind, timeoutS, schedule, tz, parent, pausedUntil } = settings
  const isPaused = state.status === 'paused'
  const given = plainFields.filter(
    ({ setting }) => setting === 'name' || settings[setting] !== defaultSettings[setting],
  )
  return {
    uuid: id,
    badge_key: badgeKey,
    ...Object.fromEntries(given.map((field) => [field.name, wireValue(field, settings, 'milliseconds')])),
    ...(kind === 'simple' ? { timeout: timeoutS } : { schedule, tz }),
    ...(parent !== null && { parent }),
    channels: channels === '' ? [] : channels.split(',').map((channel) => channelNames.get(channel) ?? channel),
    ...(isPaused && { paused: true }),
    ...(isPaused && pausedUntil !== null && pausedUntil > now && { paused_until: isoMillis(pausedUntil) }),
  }
}

const parentShownMax = 100

/** The part of existing checks that a document may refer to. */
export type Existing = Pick<CheckWithChannels, 'id' | 'settings' | 'state'>

export type Step = { index: number; definition: Definition; uuid: string; before: Existing | null }
export type RefusedDefinition = { index: number; error: string }

/**
 * Finds the check of each definition: the one with its uuid, else with its slug, else with its name, else a new one. If
 * two definitions have the same check, the second is refused.
 */
export function planSteps(
  definitions: readonly { index: number; definition: Definition }[],
  existing: readonly Existing[],
  newId: () => string,
): { steps: Step[]; refusals: RefusedDefinition[] } {
  const byId = new Map(existing.map((one) => [one.id, one]))
  const bySlug = Map.groupBy(existing, ({ settings }) => settings.slug)
  const byName = Map.groupBy(existing, ({ settings }) => settings.name)
  const taken = new Map<string, number>()
  const steps: Step[] = []
  const refusals: RefusedDefinition[] = []

  for (const { index, definition } of definitions) {
    const { uuid, settings } = definition
    const { slug, name } = settings
    const found = uuid !== null ? [byId.get(uuid) ?? []].flat() : ((slug ? bySlug.get(slug) : byName.get(name)) ?? [])
    const key = uuid ?? found[0]?.id ?? (slug ? `slug ${slug}` : `name ${name}`)
    const twin = taken.get(key)
    const error =
      uuid === null && !slug && !name
        ? 'needs a uuid, a slug or a name'
        : found.length > 1
          ? `several checks have this ${slug ? 'slug' : 'name'}: give the uuid of one`
          : twin !== undefined
            ? `is the same check as checks[${twin}]`
            : undefined
    if (error !== undefined) {
      refusals.push({ index, error })
      continue
    }
    taken.set(key, index)
    const before = found[0] ?? null
    steps.push({ index, definition, uuid: before?.id ?? uuid ?? newId(), before })
  }
  return { steps, refusals }
}

export type PlannedStep = Step & { parentId: string | null }

/** Finds the parents, and an order in which each check comes after its parent. */
export function orderByParents(
  steps: readonly Step[],
  existing: readonly Existing[],
): { ordered: PlannedStep[]; refusals: RefusedDefinition[] } {
  const refusals: RefusedDefinition[] = []
  const meant = new Set(steps.map(({ uuid }) => uuid))
  const others = existing.filter(({ id }) => !meant.has(id))
  const known = [
    ...steps.map(({ uuid, definition }) => ({ id: uuid, ...definition.settings })),
    ...others.map(({ id, settings }) => ({ id, ...settings })),
  ]
  const bySlug = Map.groupBy(known, ({ slug }) => slug)
  const byName = Map.groupBy(known, ({ name }) => name)
  const ids = new Set(known.map(({ id }) => id))

  const waiting = steps.flatMap((step): PlannedStep[] => {
    const { parent } = step.definition
    if (parent === null) return [{ ...step, parentId: null }]
    const found = ids.has(parent) ? [{ id: parent }] : (bySlug.get(parent) ?? byName.get(parent) ?? [])
    if (found.length === 1) return [{ ...step, parentId: found[0]?.id ?? null }]
    const problem = found.length === 0 ? 'is no check of this project or document' : 'means several checks'
    refusals.push({ index: step.index, error: `parent ${problem}: ${parent.slice(0, parentShownMax)}` })
    return []
  })

  const ordered = parentsFirst(waiting)
  const placed = new Set(ordered)
  const cycles = waiting.filter((step) => !placed.has(step))
  refusals.push(...cycles.map(({ index }) => ({ index, error: 'parent would be its own descendant' })))
  return { ordered, refusals }
}

/** Orders steps by generation, and leaves out those that are their own descendants, with their descendants. */
function parentsFirst(steps: readonly PlannedStep[]): PlannedStep[] {
  const open = new Set(steps.map(({ uuid }) => uuid))
  const children = Map.groupBy(steps, ({ parentId }) => parentId)
  const ordered = steps.filter(({ parentId }) => parentId === null || !open.has(parentId))
  // The loop also visits what it appends.
  for (const { uuid } of ordered) ordered.push(...(children.get(uuid) ?? []))
  return ordered
}

/** The changes of a step; `settings` are those that differ. `had` and `has` are ids of channels. */
export function changesOfStep(
  { definition, before, parentId }: PlannedStep,
  { had, has }: { had: readonly string[]; has: readonly string[] | undefined },
): { settings: Partial<Settings>; changes: Changes; channels: boolean; pause: boolean; resume: boolean } {
  const old = before?.settings ?? defaultSettings
  const wanted: Settings = {
    ...definition.settings,
    parent: parentId,
    pausedUntil: definition.settings.pausedUntil === undefined ? old.pausedUntil : definition.settings.pausedUntil,
  }
  const changes = settingChanges(old, wanted)
  const settings = Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => value !== old[key as keyof Settings]),
  )
  const channels = has !== undefined && noteChannels(changes, had, has)
  const isPaused = before?.state.status === 'paused'
  const pause = definition.paused === true && !isPaused && !settings.pausedUntil
  const resume = definition.paused === false && isPaused
  if (pause || resume) {
    changes.before.paused = isPaused
    changes.after.paused = !isPaused
  }
  return { settings, changes, channels, pause, resume }
}
