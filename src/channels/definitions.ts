// Channels that a file declares: found by id or by name, and changed to what the file has. A file may name other
// channels where the API takes their ids.

import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Editor } from '../checks/editing.ts'
import { channelFinder } from '../checks/relations/channel-names.ts'
import { AppError } from '../core/errors.ts'
import type { Channels } from './channels.ts'
import type { WantedAlerts } from './wanted-alerts.ts'
import type { Transport } from './wire/transport.ts'

/** A missing field has its default. `isDefault`: new checks get it unless they name channels. */
export type ChannelDefinition = {
  id: string | null
  kind: string
  name: string
  settings: Record<string, unknown>
  alerts: WantedAlerts | null
  isDefault: boolean
}

/** As it is stored; `settings` is null if no key of this process decrypts them. */
export type StoredChannel = Pick<ChannelDefinition, 'kind' | 'name' | 'alerts'> & { id: string; settings: unknown }

export type AppliedChannel = {
  index: number
  id: string
  name: string
  action: 'created' | 'updated' | 'unchanged'
  fields: string[]
}

/** Names the definition that was refused. */
export class RefusedChannel extends AppError {
  readonly index: number
  constructor(index: number, { code, message, field }: AppError) {
    super(code, message, field === undefined ? {} : { field })
    this.index = index
  }
}

type ChannelStep = { index: number; definition: ChannelDefinition; id: string; before: StoredChannel | null }

export type ChannelDefinitions = ReturnType<typeof createChannelDefinitions>

export function createChannelDefinitions(options: {
  channels: Pick<Channels, 'create' | 'update' | 'stored'>
  transports: Record<string, Transport>
}) {
  const { channels, transports } = options

  async function take(caller: Editor, { index, definition, id, before }: ChannelStep): Promise<AppliedChannel> {
    const { kind, name, settings } = definition
    const usual = transports[kind]?.alerts
    const alerts = usual || definition.alerts ? { ...usual, ...definition.alerts } : null
    if (before === null) {
      const checks = definition.isDefault ? ('*' as const) : undefined
      await channels.create(caller, { kind, name, settings, checks, alerts: alerts ?? undefined }, id)
      return { index, id, name, action: 'created', fields: [] }
    }
    const changes = {
      ...(before.name !== name && { name }),
      ...(!isSame(before.settings, settings) && { settings }),
      ...(!isSame(before.alerts, alerts) && { alerts }),
    }
    const fields = Object.keys(changes)
    if (fields.length > 0) await channels.update(caller, id, changes)
    return { index, id, name, action: fields.length > 0 ? 'updated' : 'unchanged', fields }
  }

  return {
    /** Throws RefusedChannel; the caller's transaction is then rolled back. Also returns the channels that no definition names. */
    async apply(
      caller: Editor,
      definitions: readonly ChannelDefinition[],
    ): Promise<{ applied: AppliedChannel[]; extra: StoredChannel[] }> {
      const existing = await channels.stored(caller.projectId)
      const steps = definitions.map((definition, index) => refusing(index, () => planStep(index, definition, existing)))
      for (const [index, { id, definition }] of steps.entries())
        if (steps.slice(0, index).some((other) => other.id === id || other.definition.name === definition.name))
          throw new RefusedChannel(index, refused('name', 'is the name of another channel'))
      const meant = new Set(steps.map(({ id }) => id))
      const extra = existing.filter(({ id }) => !meant.has(id))
      const known = [...steps.map(({ id, definition }) => ({ id, name: definition.name })), ...extra]
      const find = channelFinder(known)
      const resolved = steps.map((step) => refusing(step.index, () => withIds(step, find)))
      const applied: AppliedChannel[] = []
      for (const step of referencesFirst(resolved))
        applied.push(await take(caller, step).catch((error) => rethrow(step.index, error)))
      return { applied: applied.sort((a, b) => a.index - b.index), extra }
    },
  }
}

function planStep(index: number, definition: ChannelDefinition, existing: readonly StoredChannel[]): ChannelStep {
  const { id, kind, name } = definition
  const found = existing.filter((one) => (id === null ? one.name === name : one.id === id))
  const [before = null] = found
  if (found.length > 1) throw refused('name', 'several channels have this name: give the id of one')
  if (before !== null && before.kind !== kind)
    throw refused('kind', `must stay ${before.kind}: a channel of another kind needs another name`)
  return { index, definition, id: before?.id ?? id ?? randomUUID(), before }
}

/** With ids instead of names, in the members of a group and in the channel of an escalation. */
function withIds(step: ChannelStep, find: (wanted: readonly string[]) => string[]): ChannelStep {
  const { settings, alerts, kind } = step.definition
  const members = kind === 'group' && Array.isArray(settings.channels) ? find(settings.channels.map(String)) : undefined
  const [to] = alerts?.escalate ? find([alerts.escalate.to]) : []
  return {
    ...step,
    definition: {
      ...step.definition,
      settings: members ? { ...settings, channels: members } : settings,
      alerts: alerts?.escalate && to !== undefined ? { ...alerts, escalate: { ...alerts.escalate, to } } : alerts,
    },
  }
}

/** A channel must exist before another one refers to it. */
function referencesFirst(steps: readonly ChannelStep[]): ChannelStep[] {
  const waiting = new Set(steps)
  const ordered: ChannelStep[] = []
  const needed = ({ definition: { settings, alerts } }: ChannelStep) =>
    [alerts?.escalate?.to, settings.channels].flat().filter((id) => typeof id === 'string')
  for (;;) {
    const missing = new Set([...waiting].flatMap(({ id, before }) => (before === null ? [id] : [])))
    const ready = [...waiting].filter((step) => !needed(step).some((id) => missing.has(id)))
    if (ready.length === 0) break
    for (const step of ready) {
      waiting.delete(step)
      ordered.push(step)
    }
  }
  const [stuck] = waiting
  if (stuck) throw new RefusedChannel(stuck.index, refused('', 'refers to a new channel that refers to it'))
  return ordered
}

/** As both are in JSON, where an absent field and one that is undefined are the same. */
function isSame(a: unknown, b: unknown): boolean {
  const plain = (value: unknown) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))
  return isDeepStrictEqual(plain(a), plain(b))
}

function refusing<T>(index: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    return rethrow(index, error)
  }
}

function rethrow(index: number, error: unknown): never {
  throw error instanceof AppError && error.code !== 'unavailable' ? new RefusedChannel(index, error) : error
}

const refused = (field: string, rule: string) => new AppError('bad_request', `${field} ${rule}`.trim(), { field })
