// The description of quotas: shapes and calls.

import { Type } from 'typebox'
import { projectId } from './examples.ts'
import { json, type Operations, type Parameter, ref, refusals } from './operation.ts'

const closed = { additionalProperties: false }

const limited = (what: string, isCounted = true) =>
  Type.Object(
    {
      limit: Type.Number({ description: what }),
      ...(isCounted && { used: Type.Optional(Type.Integer({ description: 'How much of it is used' })) }),
    },
    closed,
  )

const Quota = Type.Object(
  {
    checks: limited('Checks'),
    channels: limited('Channels'),
    new_checks_per_hour: limited('Checks made by ping key in an hour'),
    body_bytes: limited('Bytes of bodies kept of all checks; beyond, heartbeats are kept without their bodies'),
    body_bytes_per_check: limited('Bytes of bodies kept of one check; beyond, the oldest go', false),
    spool_share: limited('Share of a spool, from 0 to 1', false),
  },
  closed,
)

const Project = Type.Object(
  { id: Type.String(), name: Type.String(), created: Type.String(), quota: Type.Unsafe({ $ref: 'Quota#' }) },
  closed,
)

export const quotaComponents = { Quota, Project }

const quotaExample = {
  checks: { limit: 2_000_000, used: 12 },
  channels: { limit: 500, used: 2 },
  new_checks_per_hour: { limit: 5000, used: 0 },
  body_bytes: { limit: 4_294_967_296, used: 81_920 },
  body_bytes_per_check: { limit: 16_777_216 },
  spool_share: { limit: 0.8 },
}
const projectExample = {
  id: projectId,
  name: 'payments',
  created: '2026-11-22T09:00:00.000+00:00',
  quota: quotaExample,
}

const projectPath: Record<string, Parameter> = {
  id: { type: 'string', description: 'uuid of the project', example: projectId },
}

export const quotaOperations: Operations = {
  'GET /api/v3/quota/': {
    id: 'getQuota',
    tag: 'projects',
    summary: 'What the project may have, and what it has',
    answers: {
      200: json('The quota', Type.Object({ quota: Type.Unsafe(ref('Quota')) }), { quota: quotaExample }),
      ...refusals('ours', 401, 429),
    },
  },
  'GET /api/v3/projects/:id/': {
    id: 'getProject',
    tag: 'projects',
    summary: 'Read a project with its quota',
    path: projectPath,
    answers: { 200: json('The project', ref('Project'), projectExample), ...refusals('ours', 400, 401, 404, 429) },
  },
  'PATCH /api/v3/projects/:id/': {
    id: 'updateProject',
    tag: 'projects',
    summary: 'Give a project another quota',
    description:
      'What is not named stays as it is; null gives a value back to the default. No value is larger than its maximum in the configuration.',
    path: projectPath,
    body: { example: { quota: { checks: 1000, new_checks_per_hour: null } } },
    answers: { 200: json('As it is now', ref('Project'), projectExample), ...refusals('ours', 400, 401, 404, 429) },
  },
}
