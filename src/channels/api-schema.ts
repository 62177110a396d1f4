// The calls on channels: their parameters, their answers, and examples.

import { Type } from 'typebox'
import {
  closed,
  healthchecksRefusals,
  json,
  nothing,
  nullable,
  ref,
  refusals,
  withExample,
} from '../http/schemas/api-schema.ts'
import { exampleChannel } from '../http/schemas/examples.ts'
import type { ApiVersion } from '../http/schemas/healthchecks-api.ts'
import type { ChannelDocument } from './channels.ts'
import { ChannelChange, ChannelId, NewChannel } from './schema.ts'

const Channel = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    kind: Type.String(),
    disabled: Type.Optional(nullable('Why it is switched off')),
    alerts: Type.Optional(Type.Object({}, { additionalProperties: true, description: 'Which alerts it gets' })),
    created: Type.Optional(Type.String()),
    disabled_at: Type.Optional(nullable('When it was switched off')),
    checks: Type.Optional(Type.Integer({ description: 'How many checks alert through it' })),
    last_sent: Type.Optional(nullable('When a message was last sent')),
    last_error: Type.Optional(
      Type.Union([Type.Object({ at: Type.String(), error: Type.String() }, closed), Type.Null()], {
        description: 'Of the newest delivery that has failed',
      }),
    ),
    settings: Type.Optional(
      Type.Unknown({ description: 'With secrets masked; a mask that is sent back keeps the secret' }),
    ),
  },
  closed,
)

export const channelSchemas = { Channel }

const example = { id: exampleChannel, kind: 'webhook', name: 'on call' }
const channel = (description: string, document: object) => json(description, ref<ChannelDocument>('Channel'), document)
const params = Type.Object({ id: withExample(ChannelId.properties.id, exampleChannel, 'uuid of the channel') })
const tags = ['channels']

export const createChannel = {
  operationId: 'createChannel',
  tags,
  summary: 'Create a channel',
  description:
    'Secrets in the settings are never returned. With `checks` the channel is attached to all existing checks.',
  body: withExample(NewChannel, {
    kind: 'webhook',
    name: 'on call',
    checks: '*',
    settings: { url: 'https://example.org/alerts', secret: 's3cret' },
  }),
  response: { 201: channel('Created', example) },
  refusals: refusals(400, 401, 403, 429),
}

export const getChannel = {
  operationId: 'getChannel',
  tags,
  summary: 'Read a channel',
  params,
  response: { 200: channel('The channel', { ...example, disabled: null }) },
  refusals: refusals(400, 401, 404, 429),
}

export const updateChannel = {
  operationId: 'updateChannel',
  tags,
  summary: 'Rename a channel, or replace its settings',
  description: 'New settings switch a channel on again that was switched off.',
  params,
  body: withExample(ChannelChange, { name: 'on call, second line' }),
  response: { 200: channel('The channel after the change', { ...example, name: 'on call, second line' }) },
  refusals: refusals(400, 401, 404, 429),
}

export const deleteChannel = {
  operationId: 'deleteChannel',
  tags,
  summary: 'Delete a channel',
  params,
  response: { 204: nothing('Deleted') },
  refusals: refusals(400, 401, 404, 429),
}

export const testChannel = {
  operationId: 'testChannel',
  tags,
  summary: 'Send a test message through a channel',
  params,
  response: {
    200: json('The result of the test', Type.Object({ delivered: Type.Boolean(), error: nullable() }), {
      delivered: true,
      error: null,
    }),
  },
  refusals: refusals(400, 401, 404, 429, 503),
}

export const listChannels = (version: ApiVersion) => ({
  operationId: version === 3 ? 'listChannels' : `listChannelsV${version}`,
  tags,
  summary: 'List channels',
  ...(version < 3 && { deprecated: true }),
  response: {
    200: json('The channels', Type.Object({ channels: Type.Array(ref<ChannelDocument>('Channel')) }), {
      channels: [example],
    }),
  },
  refusals: healthchecksRefusals(401, 429),
})

export const reencrypt = {
  operationId: 'reencrypt',
  tags: ['service'],
  summary: "Encrypt channels' settings with the first ENCRYPTION_KEY, so that the others can go",
  response: {
    200: json(
      'What was done',
      Type.Object({
        channels: Type.Integer(),
        checks: Type.Integer({ description: 'Those with a signing secret' }),
        reencrypted: Type.Integer(),
        unreadable: Type.Integer(),
      }),
      { channels: 12, checks: 0, reencrypted: 12, unreadable: 0 },
    ),
  },
  refusals: refusals(401, 404, 429),
}
