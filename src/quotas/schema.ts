// The calls about quotas: their parameters, their answers, and examples.

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
    new_checks_per_hour: counted('Checks created with the ping key per hour'),
    body_bytes: counted('Bytes of bodies kept for all checks; beyond it heartbeats are kept without their bodies'),
    body_bytes_per_check: uncounted('Bytes of bodies kept for one check; beyond it the oldest are removed'),
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
  summary: 'The limits of the project, and their use',
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
  summary: 'Change the quota of a project',
  description:
    'Values that are not named stay unchanged; null restores the default. No value may be larger than its maximum in the configuration.',
  params: Id,
  body: withExample(Change, { quota: { checks: 1000, new_checks_per_hour: null } }),
  response: { 200: json('The project after the change', ref<ProjectDocument>('Project'), project) },
  refusals: refusals(400, 401, 404, 429),
}
