// Our own calls on what a project has beside its checks, and on projects.

import { Type } from 'typebox'
import { channelId, checkExample, projectId, uuid } from './examples.ts'
import { json, nothing, type Operations, type Parameter, ref, refusals } from './operation.ts'

const channel = { id: channelId, kind: 'webhook', name: 'on call' }
const channelPath: Record<string, Parameter> = {
  id: { type: 'string', description: 'uuid of the channel', example: channelId },
}
const projectPath: Record<string, Parameter> = {
  id: { type: 'string', description: 'uuid of the project', example: projectId },
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

const definition = {
  uuid,
  badge_key: '5e5a2f0e-7d5f-4a5e-8f5a-3a1f0d2b7c11',
  name: checkExample.name,
  slug: checkExample.slug,
  tags: checkExample.tags,
  grace: 600,
  max_runtime: 600,
  schedule: '15 3 * * *',
  tz: 'Europe/Riga',
  channels: ['on call'],
}

const definitions: Operations = {
  'GET /api/v3/definitions/': {
    id: 'exportDefinitions',
    tag: 'definitions',
    summary: 'All checks as documents; what is not said has its default',
    answers: {
      200: json('The checks', Type.Object({ checks: Type.Array(Type.Unsafe(ref('Definition'))) }), {
        checks: [definition],
      }),
      ...refusals('ours', 401, 429),
    },
  },
  'POST /api/v3/definitions/': {
    id: 'applyDefinitions',
    tag: 'definitions',
    summary: 'Make checks be what documents say',
    description:
      'Each means the check with its uuid, else with its slug, else with its name, and a new one if there is none. One that is refused leaves the others alone. `prune` deletes checks that no document means, unless one was refused. `parent` refers to a check by uuid, slug or name, `channels` are ids and names.',
    body: {
      schema: Type.Object(
        {
          checks: Type.Array(Type.Unsafe(ref('Definition')), { maxItems: 10_000 }),
          dry_run: Type.Optional(Type.Boolean({ description: 'Say what would be done, and do nothing' })),
          prune: Type.Optional(Type.Boolean()),
        },
        { additionalProperties: false },
      ),
      example: { checks: [{ name: 'nightly backup', schedule: '15 3 * * *', grace: 600 }], dry_run: true },
    },
    answers: {
      200: json(
        'What was done, in the order of the documents',
        Type.Object({
          results: Type.Array(Type.Unsafe(ref('ApplyResult'))),
          summary: Type.Record(Type.String(), Type.Integer()),
          dry_run: Type.Boolean(),
          pruned: Type.Boolean({ description: 'Whether checks were looked for that no document means' }),
        }),
        {
          results: [
            {
              index: 0,
              uuid,
              name: 'nightly backup',
              action: 'updated',
              changes: { before: { grace: 3600 }, after: { grace: 600 } },
            },
          ],
          summary: { created: 0, updated: 1, unchanged: 0, deleted: 0, failed: 0 },
          dry_run: true,
          pruned: false,
        },
      ),
      ...refusals('ours', 400, 401, 413, 429),
    },
  },
}

const keys = {
  api_key: 'flw_0123456789abcdefghijklmnopqr',
  api_key_readonly: 'flr_0123456789abcdefghijklmnopqr',
  ping_key: '0123456789abcdefghijkl',
}

const projects: Operations = {
  'POST /api/v3/projects/': {
    id: 'createProject',
    tag: 'projects',
    summary: 'Create a project; its keys are shown this once',
    body: { example: { name: 'payments' } },
    answers: {
      201: json(
        'Created',
        Type.Object({
          id: Type.String(),
          name: Type.String(),
          api_key: Type.String(),
          api_key_readonly: Type.String(),
          ping_key: Type.String(),
        }),
        { id: projectId, name: 'payments', ...keys },
      ),
      ...refusals('ours', 400, 401, 404, 429),
    },
  },
  'GET /api/v3/projects/': {
    id: 'listProjects',
    tag: 'projects',
    summary: 'List projects',
    answers: {
      200: json(
        'The projects, without keys',
        Type.Object({
          projects: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), created: Type.String() })),
          next,
        }),
        { projects: [{ id: projectId, name: 'payments', created: '2026-11-22T09:00:00.000+00:00' }], next: null },
      ),
      ...refusals('ours', 400, 401, 404, 429),
    },
  },
  'DELETE /api/v3/projects/:id/': {
    id: 'deleteProject',
    tag: 'projects',
    summary: 'Delete a project with all that it has',
    path: projectPath,
    answers: { 204: nothing('Deleted'), ...refusals('ours', 400, 401, 404, 429) },
  },
  'POST /api/v3/projects/:id/keys/:kind/rotate/': {
    id: 'rotateKey',
    tag: 'projects',
    summary: 'Replace a key; the old one is dead within five seconds',
    path: {
      ...projectPath,
      kind: {
        type: 'string',
        enum: ['api_key', 'api_key_readonly', 'ping_key'],
        description: 'Which key',
        example: 'ping_key',
      },
    },
    answers: {
      200: json('The new key, shown this once', Type.Record(Type.String(), Type.String()), { ping_key: keys.ping_key }),
      ...refusals('ours', 400, 401, 404, 429),
    },
  },
  'POST /api/v3/keys/adopt/': {
    id: 'adoptKeys',
    tag: 'projects',
    summary: 'Bring the ping key and badge keys that a project had on another server',
    description:
      '`badge_secret` is the key of the HMAC that signs badges; for a project of Healthchecks the SHA-1 of its badge key and SECRET_KEY.',
    body: { example: { ping_key: keys.ping_key, badge_key: projectId } },
    answers: {
      200: json('What is another now', Type.Object({ changed: Type.Array(Type.String()) }), {
        changed: ['ping_key', 'badge_key'],
      }),
      ...refusals('ours', 400, 401, 409, 429),
    },
  },
  'GET /api/v3/audit/': {
    id: 'listAudit',
    tag: 'projects',
    summary: 'Who changed what, when and from where, the newest first',
    answers: {
      200: json('The entries', list('entries', 'AuditEntry'), {
        entries: [
          {
            id: 4711,
            at: '2026-11-24T09:12:01.004+00:00',
            project: projectId,
            actor: 'api_key',
            address: '192.0.2.7',
            action: 'check.update',
            target: uuid,
            detail: { before: { grace: 3600 }, after: { grace: 600 } },
            request_id: 'f3a1b2c4d5e6-17',
          },
        ],
        next: null,
      }),
      ...refusals('ours', 400, 401, 403, 429),
    },
  },
}

export const managementOperations: Operations = { ...channels, ...definitions, ...projects }
