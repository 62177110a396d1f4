// Calls about heartbeats that were acknowledged and that the database refuses.

import { type TSchema, Type } from 'typebox'
import { json, nothing, type Operations, refusals } from './operation.ts'

const nullable = <T extends TSchema>(type: T) => Type.Union([type, Type.Null()])
const quarantined = Type.Object({
  id: Type.String(),
  quarantined_at: Type.String(),
  received_at: nullable(Type.String()),
  project: nullable(Type.String()),
  check: nullable(Type.String()),
  kind: nullable(Type.String()),
  bytes: Type.Integer(),
  code: Type.String({ description: 'SQLSTATE, or empty' }),
  rule: Type.String(),
  attempts: Type.Integer(),
  next_attempt: nullable(Type.String()),
})
const kept = {
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

export const quarantineOperations: Operations = {
  'GET /api/v3/quarantine/': {
    id: 'listQuarantine',
    tag: 'service',
    summary: 'Heartbeats that were acknowledged and that the database refuses, the newest first',
    answers: {
      200: json(
        'The heartbeats',
        Type.Object({ quarantined: Type.Array(quarantined), next: nullable(Type.String()) }),
        { quarantined: [kept], next: null },
      ),
      ...refusals('ours', 400, 401, 404, 429),
    },
  },
  'POST /api/v3/quarantine/retry/': {
    id: 'retryQuarantine',
    tag: 'service',
    summary: 'Try some of them again, or the oldest thousand',
    body: { example: { ids: [kept.id] } },
    answers: {
      200: json(
        'How many were recorded, dropped because they are for no check, and are still refused',
        Type.Object({ recorded: Type.Integer(), dropped: Type.Integer(), kept: Type.Integer() }),
        { recorded: 1, dropped: 0, kept: 0 },
      ),
      ...refusals('ours', 400, 401, 404, 429),
    },
  },
  'DELETE /api/v3/quarantine/:id/': {
    id: 'discardQuarantined',
    tag: 'service',
    summary: 'Discard one of them for good',
    path: { id: { type: 'string', description: 'Its id in the list', example: kept.id } },
    answers: { 204: nothing('It is gone'), ...refusals('ours', 400, 401, 404, 429) },
  },
}
