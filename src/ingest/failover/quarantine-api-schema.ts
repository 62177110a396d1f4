// The calls about acknowledged heartbeats that the database refuses: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, json, nothing, nullable, refusals, withExample } from '../../http/schemas/api-schema.ts'
import { Uuid } from '../../http/schemas/types.ts'

const example = {
  id: '0193f2a0-6b1f-7a52-8ebe-9a296a8c72e4',
  quarantined_at: '2026-11-24T09:12:01.004+00:00',
  received_at: '2026-11-24T09:10:00.000+00:00',
  project: null,
  check: '6b1f3a52-54be-4909-a300-9a296a8c72e4',
  kind: 'success',
  bytes: 412,
  code: '22023',
  rule: 'the database refuses it',
  attempts: 1,
  next_attempt: null,
}

const Quarantined = Type.Object({
  id: Type.String(),
  quarantined_at: Type.String(),
  received_at: nullable(),
  project: nullable(),
  check: nullable(),
  kind: nullable(),
  bytes: Type.Integer(),
  code: Type.String({ description: 'SQLSTATE, or empty' }),
  rule: Type.String(),
  attempts: Type.Integer(),
  next_attempt: nullable(),
})

export const listQuarantine = {
  operationId: 'listQuarantine',
  tags: ['service'],
  summary: 'Acknowledged heartbeats that the database refuses, the newest first',
  querystring: Type.Object(
    { limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }), after: Type.Optional(Uuid) },
    closed,
  ),
  response: {
    200: json('The heartbeats', Type.Object({ quarantined: Type.Array(Quarantined), next: nullable() }), {
      quarantined: [example],
      next: null,
    }),
  },
  refusals: refusals(400, 401, 404, 429),
}

const Retry = Type.Object(
  { ids: Type.Optional(Type.Array(Uuid, { minItems: 1, maxItems: 1000, uniqueItems: true })) },
  closed,
)

export const retryQuarantine = {
  operationId: 'retryQuarantine',
  tags: ['service'],
  summary: 'Retry some of them, or the oldest thousand',
  body: withExample(Retry, { ids: [example.id] }),
  response: {
    200: json(
      'How many were recorded, dropped because they have no check, and are still refused',
      Type.Object({ recorded: Type.Integer(), dropped: Type.Integer(), kept: Type.Integer() }),
      { recorded: 1, dropped: 0, kept: 0 },
    ),
  },
  refusals: refusals(400, 401, 404, 429),
}

export const discardQuarantined = {
  operationId: 'discardQuarantined',
  tags: ['service'],
  summary: 'Discard one of them for good',
  params: Type.Object({ id: withExample(Uuid, example.id, 'Its id in the list') }),
  response: { 204: nothing('It was discarded') },
  refusals: refusals(400, 401, 404, 429),
}
