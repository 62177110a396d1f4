// The calls about projects and their keys: what they take, what they answer, and examples.

import { Type } from 'typebox'
import { closed, json, nothing, nullable, refusals, withExample } from '../http/schemas/api-schema.ts'
import { exampleProject } from '../http/schemas/examples.ts'
import { Uuid } from '../http/schemas/types.ts'
import { keyKinds } from './store.ts'

const Id = withExample(Uuid, exampleProject, 'uuid of the project')
export const ProjectName = Type.String({ maxLength: 200, pattern: '^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$' })
const Name = Type.Object({ name: ProjectName }, closed)
const Page = Type.Object(
  { limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }), after: Type.Optional(Uuid) },
  closed,
)
const AdoptedKeys = Type.Object(
  {
    ping_key: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{22}$' })),
    badge_key: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{8,150}$' })),
    badge_secret: Type.Optional(Type.String({ pattern: '^[0-9a-f]{40}$' })),
  },
  { ...closed, minProperties: 1 },
)

const keys = {
  api_key: 'flw_0123456789abcdefghijklmnopqr',
  api_key_readonly: 'flr_0123456789abcdefghijklmnopqr',
  ping_key: '0123456789abcdefghijkl',
}

export const createProject = {
  operationId: 'createProject',
  tags: ['projects'],
  summary: 'Create a project; its keys are shown only once',
  body: withExample(Name, { name: 'payments' }),
  response: {
    201: json(
      'Created',
      Type.Object({
        id: Type.String(),
        name: Type.String(),
        api_key: Type.String(),
        api_key_readonly: Type.String(),
        ping_key: Type.String(),
      }),
      { id: exampleProject, name: 'payments', ...keys },
    ),
  },
  refusals: refusals(400, 401, 404, 429),
}

export const listProjects = {
  operationId: 'listProjects',
  tags: ['projects'],
  summary: 'List projects',
  querystring: Page,
  response: {
    200: json(
      'The projects, without keys',
      Type.Object({
        projects: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), created: Type.String() })),
        next: nullable('What `after` is for the page behind'),
      }),
      { projects: [{ id: exampleProject, name: 'payments', created: '2026-11-22T09:00:00.000+00:00' }], next: null },
    ),
  },
  refusals: refusals(400, 401, 404, 429),
}

export const deleteProject = {
  operationId: 'deleteProject',
  tags: ['projects'],
  summary: 'Delete a project with everything in it',
  params: Type.Object({ id: Id }),
  response: { 204: nothing('Deleted') },
  refusals: refusals(400, 401, 404, 429),
}

export const rotateKey = {
  operationId: 'rotateKey',
  tags: ['projects'],
  summary: 'Replace a key; the old one is invalid within five seconds',
  params: Type.Object({
    id: Id,
    kind: withExample({ type: 'string', ...Type.Enum(keyKinds) }, 'ping_key', 'Which key'),
  }),
  response: {
    200: json('The new key, shown only once', Type.Record(Type.String(), Type.String()), { ping_key: keys.ping_key }),
  },
  refusals: refusals(400, 401, 404, 429),
}

export const adoptKeys = {
  operationId: 'adoptKeys',
  tags: ['projects'],
  summary: 'Adopt the ping key and badge keys that a project had on another server',
  description:
    '`badge_secret` is the key of the HMAC that signs badges; for a project of Healthchecks the SHA-1 of its badge key and SECRET_KEY.',
  body: withExample(AdoptedKeys, { ping_key: keys.ping_key, badge_key: exampleProject }),
  response: {
    200: json('Which keys have changed', Type.Object({ changed: Type.Array(Type.String()) }), {
      changed: ['ping_key', 'badge_key'],
    }),
  },
  refusals: refusals(400, 401, 409, 429),
}
