// The call that reads the audit log: its parameters, its answers, and examples.

import { Type } from 'typebox'
import { closed, json, nullable, ref, refusals } from '../http/schemas/api-schema.ts'
import { exampleCheck, exampleProject } from '../http/schemas/examples.ts'
import { Uuid } from '../http/schemas/types.ts'
import type { AuditDocument } from './service.ts'

const Text = Type.Optional(Type.String({ minLength: 1, maxLength: 200 }))
const Query = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    after: Text,
    project: Type.Optional(Uuid),
    action: Text,
    actor: Text,
    target: Text,
    from: Text,
    to: Text,
  },
  closed,
)

const AuditEntry = Type.Object(
  {
    id: Type.Integer(),
    at: Type.String(),
    project: nullable('Null for an object without a project'),
    actor: Type.String(),
    address: nullable('Address of the caller'),
    action: Type.String(),
    target: Type.String(),
    detail: Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()]),
    request_id: nullable('Id of the request'),
  },
  closed,
)

export const auditSchemas = { AuditEntry }

const entry = {
  id: 4711,
  at: '2026-11-24T09:12:01.004+00:00',
  project: exampleProject,
  actor: 'api_key',
  address: '192.0.2.7',
  action: 'check.update',
  target: exampleCheck,
  detail: { before: { grace: 3600 }, after: { grace: 600 } },
  request_id: 'f3a1b2c4d5e6-17',
}

export const listAudit = {
  operationId: 'listAudit',
  tags: ['projects'],
  summary: 'Who changed what, when and from where, the newest first',
  querystring: Query,
  response: {
    200: json(
      'The entries',
      Type.Object({
        entries: Type.Array(ref<AuditDocument>('AuditEntry')),
        next: nullable('What `after` is for the page behind'),
      }),
      { entries: [entry], next: null },
    ),
  },
  refusals: refusals(400, 401, 403, 429),
}
