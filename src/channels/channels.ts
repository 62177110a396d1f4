// What people do with channels. Secrets in their settings are stored and never returned.

import { randomUUID } from 'node:crypto'
import type { WriteAudit } from '../audit/store.ts'
import type { Editor } from '../checks/editing.ts'
import { attachToAllChecks, selectChannelNames } from '../checks/relations/channels-store.ts'
import { AppError } from '../core/errors.ts'
import type { DatabaseSession } from '../database/service.ts'
import { isoMillis } from '../kit/instant.ts'
import type { Visitor } from '../messages/link-routes.ts'
import type { Quotas } from '../quotas/service.ts'
import { readZone } from '../schedule/legacy-zones.ts'
import * as store from './channels-store.ts'
import type { StoredChannel } from './definitions.ts'
import type { DeliveryQueue } from './delivery-queue.ts'
import type { Recipients } from './recipients/recipients.ts'
import type { UnsubscribeLinks } from './recipients/unsubscribe-links.ts'
import { type Encryption, settingsContext } from './secrets/encryption.ts'
import type { ChannelTests, TestResult } from './sending/channel-tests.ts'
import type { Destinations } from './sending/destinations.ts'
import { masked, maskProblem, settingsProblem, unmasked } from './settings.ts'
import type { SwitchOff } from './switch-off.ts'
import type { WantedAlerts } from './wanted-alerts.ts'
import type { Capabilities, Transport } from './wire/transport.ts'

export type ChannelDocument = { id: string; kind: string; name: string }

/** The state of a channel. `last_error` is null unless a stored delivery failed, finally or temporarily. */
export type ChannelState = ChannelDocument & {
  created: string
  /** Why it was switched off. */
  disabled: string | null
  disabled_at: string | null
  checks: number
  last_sent: string | null
  last_error: { at: string; error: string } | null
  /** Which alerts it gets; absent means every alert, once. */
  alerts?: WantedAlerts
}

/** From the link in a mail with which its recipient unsubscribes. */
type UnsubscribeParams = { id: string; signature: string }

export type Channels = ReturnType<typeof createChannels>

export type ChannelsOptions = {
  database: DatabaseSession
  encryption: Encryption
  transports: Record<string, Transport>
  capabilities: Capabilities
  test: ChannelTests
  recipients: Pick<Recipients, 'isConfirmed' | 'ask' | 'revoke'>
  links: Pick<UnsubscribeLinks, 'isValid'>
  destinations: Pick<Destinations, 'forget'>
  switchOff: SwitchOff
  queue: Pick<DeliveryQueue, 'cancelOfChannel'>
  writeAudit: WriteAudit
  quotas: Pick<Quotas, 'admitChannel'>
  now: () => number
}

export function createChannels(options: ChannelsOptions) {
  const { database, encryption, transports, capabilities, destinations, recipients, links, queue, writeAudit, now } =
    options

  function transportOf(kind: string): Transport {
    const transport = Object.hasOwn(transports, kind) ? transports[kind] : undefined
    if (transport === undefined) {
      const known = Object.keys(transports).sort().join(', ')
      throw new AppError('bad_request', `kind must be one of ${known}`, { field: 'kind' })
    }
    const unavailable = transport.unavailable?.(capabilities)
    if (unavailable !== undefined) throw new AppError('bad_request', `kind ${kind} ${unavailable}`, { field: 'kind' })
    return transport
  }

  async function sealed(transport: Transport, channel: { id: string; projectId: string }, settings: unknown) {
    const problem = maskProblem(transport, settings) ?? settingsProblem(transport, settings)
    if (problem) throw badSettings(problem.field, problem.rule)
    const ids = transport.channels?.(settings as never) ?? []
    if (ids.length > 0) await checkMembers(channel.projectId, ids)
    return encryption.encrypt(JSON.stringify(settings), settingsContext(channel.id))
  }

  async function checkMembers(projectId: string, ids: readonly string[]): Promise<void> {
    const found = new Map((await store.findChannels(database, projectId, ids)).map((one) => [one.id, one]))
    for (const [index, id] of ids.entries()) {
      const member = found.get(id)
      if (member === undefined) throw badSettings(`channels.${index}`, 'is not a channel of this project')
      if (transports[member.kind]?.channels) throw badSettings(`channels.${index}`, 'must not be a group itself')
    }
  }

  async function find(projectId: string, id: string): Promise<store.Channel> {
    const channel = await store.findChannel(database, projectId, id)
    if (channel === null) throw notFound()
    return channel
  }

  async function checkAlerts(projectId: string, id: string, alerts: WantedAlerts | null | undefined): Promise<void> {
    const refuse = (field: string, rule: string) => {
      throw new AppError('bad_request', `alerts.${field} ${rule}`, { field: `alerts.${field}` })
    }
    if (alerts?.quiet_hours && readZone(alerts.quiet_hours.tz) === null)
      refuse('quiet_hours.tz', 'is not a valid timezone')
    const to = alerts?.escalate?.to
    if (to === undefined) return
    if (to === id) refuse('escalate.to', 'must be another channel')
    if ((await store.findChannel(database, projectId, to)) === null)
      refuse('escalate.to', 'is not a channel of this project')
  }

  /** Null if they cannot be decrypted with the keys of this process. */
  function opened(channel: store.Channel): unknown {
    try {
      return JSON.parse(encryption.decrypt(channel.settings, settingsContext(channel.id)))
    } catch {
      return null
    }
  }

  function recipientOf(channel: store.Channel): string | undefined {
    const settings = opened(channel)
    return settings === null ? undefined : transports[channel.kind]?.recipient?.(settings as never)
  }

  async function staysConfirmed(channel: store.Channel, recipient: string): Promise<boolean> {
    const isSame = recipientOf(channel)?.toLowerCase() === recipient.toLowerCase()
    if (channel.recipientConfirmed && isSame) return true
    return recipients.isConfirmed(channel.projectId, recipient)
  }

  async function channelOfLink({ id, signature }: UnsubscribeParams): Promise<store.Channel> {
    const channel = await store.findChannel(database, null, id)
    const recipient = channel === null ? undefined : recipientOf(channel)
    if (channel === null || recipient === undefined || !links.isValid(id, recipient, signature))
      throw new AppError('not_found', 'not found')
    return channel
  }

  return {
    async create(
      caller: Editor,
      input: {
        kind: string
        name: string
        settings: unknown
        checks?: '*' | undefined
        alerts?: WantedAlerts | undefined
      },
      givenId: string | null = null,
    ): Promise<ChannelDocument> {
      const id = givenId ?? randomUUID()
      const { kind, name, checks } = input
      const { projectId } = caller
      if (givenId !== null && (await store.findChannel(database, null, givenId)) !== null)
        throw new AppError('conflict', 'id is taken by another channel', { field: 'id' })
      const transport = transportOf(kind)
      const settings = await sealed(transport, { id, projectId }, input.settings)
      const recipient = transport.recipient?.(input.settings as never)
      const recipientConfirmed = recipient === undefined || (await recipients.isConfirmed(projectId, recipient))
      const alerts = transport.alerts || input.alerts ? { ...transport.alerts, ...input.alerts } : null
      await checkAlerts(projectId, id, alerts)
      await database.transaction(async (tx) => {
        await options.quotas.admitChannel(tx, projectId)
        await store.insertChannel(tx, { id, projectId, kind, name, settings, alerts, recipientConfirmed })
        if (recipient !== undefined && !recipientConfirmed) await recipients.ask(tx, { id, projectId }, recipient)
        if (checks === '*') await attachToAllChecks(tx, projectId, id)
        const detail = { after: { kind, name, ...(checks && { checks }), ...(alerts && { alerts }) } }
        await writeAudit(tx, { ...caller, action: 'channel.create', target: id, detail })
      })
      return { id, kind, name }
    },

    /** All channels of the project with their secrets, for comparison. */
    async stored(projectId: string): Promise<StoredChannel[]> {
      const ids = (await selectChannelNames(database, projectId)).map(({ id }) => id)
      const all = await store.findChannels(database, projectId, ids)
      return all.map((channel) => ({ ...channel, settings: opened(channel) }))
    },

    /** In order of creation. */
    async list(projectId: string): Promise<ChannelState[]> {
      return (await store.selectSummaries(database, projectId)).map(stateOf)
    },

    /** Secrets are masked; `settings` is null if no key of this process decrypts them. */
    async get(projectId: string, id: string): Promise<ChannelState & { settings: unknown }> {
      const channel = await find(projectId, id)
      const [summary] = await store.selectSummaries(database, projectId, id)
      if (summary === undefined) throw notFound()
      const transport = transports[channel.kind]
      const settings = transport === undefined ? null : opened(channel)
      return { ...stateOf(summary), settings: transport && settings !== null ? masked(transport, settings) : null }
    },

    /** New settings switch a channel on again that was switched off. */
    async update(
      caller: Editor,
      id: string,
      input: { name?: string | undefined; settings?: unknown; alerts?: WantedAlerts | null | undefined },
    ): Promise<ChannelDocument> {
      const { projectId } = caller
      const before = await find(projectId, id)
      const transport = input.settings === undefined ? undefined : transportOf(before.kind)
      const given = transport && unmasked(transport, input.settings, opened(before))
      const settings = transport && (await sealed(transport, before, given))
      const recipient = transport?.recipient?.(given as never)
      const recipientConfirmed = recipient === undefined ? undefined : await staysConfirmed(before, recipient)
      const { alerts } = input
      await checkAlerts(projectId, id, alerts)
      await database.transaction(async (tx) => {
        if (!(await store.updateChannel(tx, projectId, id, { name: input.name, settings, alerts, recipientConfirmed })))
          throw notFound()
        if (recipient !== undefined && !recipientConfirmed) await recipients.ask(tx, before, recipient)
        const renamed = input.name !== undefined && input.name !== before.name
        // Settings contain secrets, so the audit log only says that they were replaced.
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

    async remove(caller: Editor, id: string): Promise<void> {
      const { projectId } = caller
      const channel = await find(projectId, id)
      const detail = { before: { kind: channel.kind, name: channel.name } }
      await database.transaction(async (tx) => {
        if (!(await store.deleteChannel(tx, projectId, id))) throw notFound()
        await queue.cancelOfChannel(tx, id, now())
        await writeAudit(tx, { ...caller, action: 'channel.delete', target: id, detail })
      })
      destinations.forget(channel)
    },

    /** Throws `not_found` if the link is not valid for the channel and the address that it mails. */
    verifyUnsubscribeLink: channelOfLink,

    /** The names of the channel and its project. */
    async mailing(link: UnsubscribeParams): Promise<{ channel: string; project: string }> {
      const { name, projectId } = await channelOfLink(link)
      return { channel: name, project: await store.selectProjectName(database, projectId) }
    },

    /** Switches the channel off for the recipient of its mails. */
    async unsubscribe(link: UnsubscribeParams, visitor: Visitor): Promise<void> {
      const channel = await channelOfLink(link)
      await database.transaction(async (tx) => {
        await options.switchOff(tx, channel, 'its recipient has unsubscribed', visitor)
        await store.unconfirmRecipient(tx, channel.id)
        await recipients.revoke(tx, channel.projectId, recipientOf(channel) ?? '')
      })
    },

    /** A recipient who has not confirmed yet is asked again. */
    async test(projectId: string, id: string, signal: AbortSignal): Promise<TestResult> {
      const channel = await find(projectId, id)
      const recipient = recipientOf(channel)
      if (recipient !== undefined && !(await staysConfirmed(channel, recipient)))
        await database.transaction((tx) => recipients.ask(tx, channel, recipient))
      return options.test(channel, signal)
    },
  }
}

function stateOf(summary: store.ChannelSummary): ChannelState {
  const { id, kind, name, createdAt, disabledAt, disabledReason, checks, lastSent, lastError, lastErrorAt } = summary
  const { alerts } = summary
  return {
    id,
    name,
    kind,
    created: isoMillis(createdAt),
    disabled: disabledReason,
    disabled_at: disabledAt === null ? null : isoMillis(disabledAt),
    checks,
    last_sent: lastSent === null ? null : isoMillis(lastSent),
    last_error: lastError === null || lastErrorAt === null ? null : { at: isoMillis(lastErrorAt), error: lastError },
    ...(alerts && { alerts }),
  }
}

const notFound = () => new AppError('not_found', 'channel not found')

function badSettings(field: string, rule: string): AppError {
  const path = field === '' ? 'settings' : `settings.${field}`
  return new AppError('bad_request', `${path} ${rule}`, { field: path })
}
