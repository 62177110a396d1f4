// The call that lists alerts about the service itself: what it takes, what it answers, and an example.

import { Type } from 'typebox'
import { closed, json, nullable, ref, refusals } from '../http/schemas/api-schema.ts'
import type { ServiceAlertDocument } from './service.ts'

const Query = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    after: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
  },
  closed,
)

const ServiceAlert = Type.Object(
  {
    id: Type.Integer(),
    at: Type.String(),
    node: Type.String(),
    rule: Type.String(),
    level: Type.String({ enum: ['INFO', 'WARNING', 'CRITICAL', 'RESOLVED'] }),
    text: Type.String(),
  },
  closed,
)

export const serviceAlertSchemas = { ServiceAlert }

const alert = {
  id: 7,
  at: '2026-11-24T09:12:01.004+00:00',
  node: 'flatline-0',
  rule: 'detector_late',
  level: 'RESOLVED',
  text: 'the problem is over',
}

export const listServiceAlerts = {
  operationId: 'listServiceAlerts',
  tags: ['service'],
  summary: 'Alerts about Flatline itself, the newest first',
  querystring: Query,
  response: {
    200: json(
      'The alerts',
      Type.Object({ alerts: Type.Array(ref<ServiceAlertDocument>('ServiceAlert')), next: nullable() }),
      { alerts: [alert], next: null },
    ),
  },
  refusals: refusals(400, 401, 404, 429),
}
