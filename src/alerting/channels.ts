// What people do with channels. Settings go in and never come out.

import { randomUUID } from 'node:crypto'
import { Errors } from 'typebox/value'
import type { WriteAudit } from '../audit/store.ts'
import { AppError } from '../core/errors.ts'
import { isoMillis } from '../core/instant.ts'
import { isTimeZone } from '../core/time-zone.ts'
import type { Database } from '../database/service.ts'
import type { Caller } from '../monitors/editing.ts'
import * as store from './channels-store.ts'
import type { Destinations } from './destinations.ts'
import type { Encryption } from './encryption.ts'
import { testMessage } from './message.ts'
import { type Sending, settingsContext } from './sending.ts'
import type { ChannelAlerts } from './silence.ts'
import type { SettingsProblem, Transport } from './transport.ts'

export type ChannelDocument = { id: string; kind: string; name: string }

export type Channels = ReturnType<typeof createChannels>

export function createChannels(options: {
  database: Database
  encryption: Encryption
  transports: Record<string, Transport>
  sending: Pick<Sending, 'send'>
  destinations: Pick<Destinations, 'beginAnyway' | 'forget'>
  writeAudit: WriteAudit
  siteUrl: () => string
  now: () => number
}) {
  const { database, encryption, transports, sending, destinations, writeAudit, siteUrl, now } = options

  function sealedSettings(kind: string, id: string, settings: unknown): Buffer<ArrayBuffer> {
    const transport = Object.hasOwn(transports, kind) ? transports[kind] : undefined
    if (transport === undefined) {
      const known = Object.keys(transports).sort().join(', ')
      throw new AppError('bad_request', `kind must be one of ${known}`, { field: 'kind' })
    }
    const problem = schemaProblem(transport, settings) ?? transport.problem?.(settings as never)
    if (problem) {
      const field = problem.field === '' ? 'settings' : `settings.${problem.field}`
      throw new AppError('bad_request', `${field} ${problem.rule}`, { field })
    }
    return encryption.encrypt(JSON.stringify(settings), settingsContext(id))
  }

  async function find(projectId: string, id: string): Promise<store.Channel> {
    const channel = await store.findChannel(database.prisma, projectId, id)
    if (channel === null) throw notFound()
    return channel
  }

  async function checkAlerts(projectId: string, id: string, alerts: ChannelAlerts | null | undefined): Promise<void> {
    const refuse = (field: string, rule: string) => {
      throw new AppError('bad_request', `alerts.${field} ${rule}`, { field: `alerts.${field}` })
    }
    if (alerts?.quiet_hours && !isTimeZone(alerts.quiet_hours.tz)) refuse('quiet_hours.tz', 'is not a valid timezone')
    const to = alerts?.escalate?.to
    if (to === undefined) return
    if (to === id) refuse('escalate.to', 'must be another channel')
    if ((await store.findChannel(database.prisma, projectId, to)) === null)
      refuse('escalate.to', 'is not a channel of this project')
  }

  return {
    async create(
      caller: Caller,
      input: {
        kind: string
        name: string
        settings: unknown
        checks?: '*' | undefined
        alerts?: ChannelAlerts | undefined
      },
    ): Promise<ChannelDocument> {
      const { kind, name, checks, alerts } = input
      const { projectId } = caller
      const id = randomUUID()
      const settings = sealedSettings(kind, id, input.settings)
      await checkAlerts(projectId, id, alerts)
      await database.transaction(async (tx) => {
        await store.insertChannel(tx, { id, projectId, kind, name, settings, alerts: alerts ?? null })
        if (checks === '*') await store.attachToAllMonitors(tx, projectId, id)
        const detail = { after: { kind, name, ...(checks && { checks }), ...(alerts && { alerts }) } }
        await writeAudit(tx, { ...caller, action: 'channel.create', target: id, detail })
      })
      return { id, kind, name }
    },

    /** In Healthchecks' shape and in order of creation. */
    list: (projectId: string) => store.listChannels(database.prisma, projectId),

    async get(
      projectId: string,
      id: string,
    ): Promise<ChannelDocument & { disabled: string | null; alerts?: ChannelAlerts }> {
      const { kind, name, disabledReason, alerts } = await find(projectId, id)
      return { id, kind, name, disabled: disabledReason, ...(alerts && { alerts }) }
    },

    /** New settings switch a channel on again that was switched off. */
    async update(
      caller: Caller,
      id: string,
      input: { name?: string | undefined; settings?: unknown; alerts?: ChannelAlerts | null | undefined },
    ): Promise<ChannelDocument> {
      const { projectId } = caller
      const before = await find(projectId, id)
      const settings = input.settings === undefined ? undefined : sealedSettings(before.kind, id, input.settings)
      const { alerts } = input
      await checkAlerts(projectId, id, alerts)
      await database.transaction(async (tx) => {
        if (!(await store.updateChannel(tx, projectId, id, { name: input.name, settings, alerts }))) throw notFound()
        const renamed = input.name !== undefined && input.name !== before.name
        // What settings say is nobody's business but the channel's.
        const detail = {
          ...(renamed && { before: { name: before.name }, after: { name: input.name } }),
          ...(alerts !== undefined && { alerts: { before: before.alerts, after: alerts } }),
          ...(settings && { settings: 'replaced' }),
        }
        await writeAudit(tx, { ...caller, action: 'channel.update', target: id, detail })
      })
      if (settings) destinations.forget(before)
      return { id, kind: before.kind, name: input.name ?? before.name }
    },

    async remove(caller: Caller, id: string): Promise<void> {
      const { projectId } = caller
      const channel = await find(projectId, id)
      const detail = { before: { kind: channel.kind, name: channel.name } }
      await database.transaction(async (tx) => {
        if (!(await store.deleteChannel(tx, projectId, id))) throw notFound()
        await writeAudit(tx, { ...caller, action: 'channel.delete', target: id, detail })
      })
      destinations.forget(channel)
    },

    /**
     * One attempt at once, also on a channel that is switched off or whose circuit breaker is open; it leaves no delivery
     * behind.
     */
    async test(
      projectId: string,
      id: string,
      signal: AbortSignal,
    ): Promise<{ delivered: boolean; error: string | null }> {
      const channel = await find(projectId, id)
      const message = testMessage({ deliveryId: randomUUID(), at: isoMillis(now()), siteUrl: siteUrl() })
      const outcome = await sending.send(channel, message, signal, destinations.beginAnyway(channel))
      if (outcome.kind === 'sent') return { delivered: true, error: null }
      if (outcome.kind === 'failed') return { delivered: false, error: outcome.error.message }
      return {
        delivered: false,
        error: outcome.kind === 'suppressed' ? outcome.reason : `interrupted by a ${outcome.by}`,
      }
    },
  }
}

const notFound = () => new AppError('not_found', 'channel not found')

/** The first broken rule of the transport's schema, in words. */
function schemaProblem(transport: Transport, settings: unknown): SettingsProblem | undefined {
  // An unknown field is reported two times, and the terse one comes first.
  const error = Errors(transport.settings, settings).find(({ keyword }) => keyword !== 'boolean')
  if (error === undefined) return undefined
  const params = error.params as {
    additionalProperties?: string[]
    requiredProperties?: string[]
    allowedValues?: unknown[]
  }
  const path = error.instancePath.slice(1).replaceAll('/', '.')
  const below = (name: string | undefined) => [path, name].filter(Boolean).join('.')
  if (params.additionalProperties) return { field: below(params.additionalProperties[0]), rule: 'is not a known field' }
  if (params.requiredProperties) return { field: below(params.requiredProperties[0]), rule: 'is required' }
  if (params.allowedValues) return { field: path, rule: `must be one of ${params.allowedValues.join(', ')}` }
  return { field: path, rule: error.message }
}
