// Our own calls on what a project has beside its checks, and on projects.

import { Type } from 'typebox'
import { channelId, uuid } from './examples.ts'
import { json, nothing, type Operations, type Parameter, ref, refusals } from './operation.ts'

const channel = { id: channelId, kind: 'webhook', name: 'on call' }
const channelPath: Record<string, Parameter> = {
  id: { type: 'string', description: 'uuid of the channel', example: channelId },
}
const next = Type.Union([Type.String(), Type.Null()], { description: 'What `after` is for the page behind' })
const list = (name: string, item: string) => Type.Object({ [name]: Type.Array(Type.Unsafe(ref(item))), next })

const channels: Operations = {
  'POST /api/v3/channels/': {
    id: 'createChannel',
    tag: 'channels',
    summary: 'Create a channel',
    description: 'Settings go in and never come out. With `checks` it is attached to all checks that there are.',
    body: {
      example: {
        kind: 'webhook',
        name: 'on call',
        checks: '*',
        settings: { url: 'https://example.org/alerts', secret: 's3cret' },
      },
    },
    answers: { 201: json('Created', ref('Channel'), channel), ...refusals('ours', 400, 401, 403, 429) },
  },
  'GET /api/v3/channels/:id/': {
    id: 'getChannel',
    tag: 'channels',
    summary: 'Read a channel',
    path: channelPath,
    answers: {
      200: json('The channel', ref('Channel'), { ...channel, disabled: null }),
      ...refusals('ours', 400, 401, 404, 429),
    },
  },
  'PATCH /api/v3/channels/:id/': {
    id: 'updateChannel',
    tag: 'channels',
    summary: 'Rename a channel, or replace its settings',
    description: 'New settings switch a channel on again that was switched off.',
    path: channelPath,
    body: { example: { name: 'on call, second line' } },
    answers: {
      200: json('As it is now', ref('Channel'), { ...channel, name: 'on call, second line' }),
      ...refusals('ours', 400, 401, 404, 429),
    },
  },
  'DELETE /api/v3/channels/:id/': {
    id: 'deleteChannel',
    tag: 'channels',
    summary: 'Delete a channel',
    path: channelPath,
    answers: { 204: nothing('Deleted'), ...refusals('ours', 400, 401, 404, 429) },
  },
  'POST /api/v3/channels/:id/test/': {
    id: 'testChannel',
    tag: 'channels',
    summary: 'Try a channel out',
    path: channelPath,
    answers: {
      200: json(
        'What came of it',
        Type.Object({ delivered: Type.Boolean(), error: Type.Union([Type.String(), Type.Null()]) }),
        { delivered: true, error: null },
      ),
      ...refusals('ours', 400, 401, 404, 429, 503),
    },
  },
  'GET /api/v3/deliveries/': {
    id: 'listDeliveries',
    tag: 'channels',
    summary: 'Every alert and what became of it, the newest first',
    answers: {
      200: json('The deliveries', list('deliveries', 'Delivery'), {
        deliveries: [
          {
            id: '9d1f2c8e-3b53-4a0e-8a55-2f7c1b0d9e11',
            check: uuid,
            channel: channelId,
            event: 'down',
            flip: { at: '2026-11-24T03:25:00.000+00:00', from: 'up', to: 'down', reason: 'timeout' },
            status: 'retrying',
            attempts: 2,
            next_attempt: '2026-11-24T03:25:17.210+00:00',
            waiting_for: null,
            last_error: 'the destination answered 503',
            request_id: null,
          },
        ],
        next: null,
      }),
      ...refusals('ours', 400, 401, 429),
    },
  },
}

export const managementOperations: Operations = { ...channels }
