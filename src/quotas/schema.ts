// The calls about quotas: what they take, what they answer, and examples.

import { Type } from 'typebox'
import { closed, json, ref, refusals, withExample } from '../http/schemas/api-schema.ts'
import { exampleProject } from '../http/schemas/examples.ts'
import { Uuid } from '../http/schemas/types.ts'
import type { quotaNames } from './limits.ts'
import type { ProjectDocument, QuotaDocument } from './service.ts'

const counted = (what: string) =>
  Type.Object(
    {
      limit: Type.Number({ description: what }),
      used: Type.Optional(Type.Integer({ description: 'How much of it is used' })),
    },
    closed,
  )
const uncounted = (what: string) => Type.Object({ limit: Type.Number({ description: what }) }, closed)

const Quota = Type.Object(
  {
    checks: counted('Checks'),
    channels: counted('Channels'),
    new_checks_per_hour: counted('Checks made by ping key in an hour'),
    body_bytes: counted('Bytes of bodies kept of all checks; beyond, heartbeats are kept without their bodies'),
    body_bytes_per_check: uncounted('Bytes of bodies kept of one check; beyond, the oldest go'),
    spool_share: uncounted('Share of a spool, from 0 to 1'),
  },
  closed,
)

const Project = Type.Object(
  { id: Type.String(), name: Type.String(), created: Type.String(), quota: ref<QuotaDocument>('Quota') },
  closed,
)

export const quotaSchemas = { Quota, Project }

const Count = Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])
const Share = Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()])
const Change = Type.Object(
  {
    quota: Type.Object(
      {
        checks: Type.Optional(Count),
        channels: Type.Optional(Count),
        new_checks_per_hour: Type.Optional(Count),
        body_bytes: Type.Optional(Count),
        body_bytes_per_check: Type.Optional(Count),
        spool_share: Type.Optional(Share),
      } satisfies Record<(typeof quotaNames)[number], unknown>,
      { ...closed, minProperties: 1 },
    ),
  },
  closed,
)

const Id = Type.Object({ id: withExample(Uuid, exampleProject, 'uuid of the project') })

const quota = {
  checks: { limit: 2_000_000, used: 12 },
  channels: { limit: 500, used: 2 },
  new_checks_per_hour: { limit: 5000, used: 0 },
  body_bytes: { limit: 4_294_967_296, used: 81_920 },
  body_bytes_per_check: { limit: 16_777_216 },
  spool_share: { limit: 0.8 },
}
const project = { id: exampleProject, name: 'payments', created: '2026-11-22T09:00:00.000+00:00', quota }

export const getQuota = {
  operationId: 'getQuota',
  tags: ['projects'],
  summary: 'What the project may have, and what it has',
  response: { 200: json('The quota', Type.Object({ quota: ref<QuotaDocument>('Quota') }), { quota }) },
  refusals: refusals(401, 429),
}

export const getProject = {
  operationId: 'getProject',
  tags: ['projects'],
  summary: 'Read a project with its quota',
  params: Id,
  response: { 200: json('The project', ref<ProjectDocument>('Project'), project) },
  refusals: refusals(400, 401, 404, 429),
}

export const updateProject = {
  operationId: 'updateProject',
  tags: ['projects'],
  summary: 'Give a project another quota',
  description:
    'What is not named stays as it is; null gives a value back to the default. No value is larger than its maximum in the configuration.',
  params: Id,
  body: withExample(Change, { quota: { checks: 1000, new_checks_per_hour: null } }),
  response: { 200: json('As it is now', ref<ProjectDocument>('Project'), project) },
  refusals: refusals(400, 401, 404, 429),
}
