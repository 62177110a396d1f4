// The calls on deliveries: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, json, nullable, ref, refusals, withExample } from '../http/schemas/api-schema.ts'
import { exampleChannel, exampleCheck } from '../http/schemas/examples.ts'
import type { DeliveryDocument } from './deliveries.ts'
import { ById, DeliveryQuery } from './schema.ts'

const Delivery = Type.Object(
  {
    id: Type.String(),
    check: nullable('The check; null for a notice; the unique key for a read-only key'),
    channel: Type.String({ description: 'The unique key, made like that of a check, for a read-only key' }),
    event: Type.String({ description: 'down, up, escalation, notice, reminder, reminder:1 and so on' }),
    flip: Type.Union([
      Type.Object({ at: Type.String(), from: Type.String(), to: Type.String(), reason: Type.String() }, closed),
      Type.Null(),
    ]),
    status: Type.String({ enum: ['pending', 'sent', 'retrying', 'dead', 'suppressed'] }),
    attempts: Type.Integer(),
    next_attempt: nullable('Time of the next attempt'),
    waiting_for: Type.Union(
      [Type.String({ enum: ['slot', 'circuit_breaker', 'retry_after', 'pace', 'encryption_key'] }), Type.Null()],
      { description: 'Why its channel cannot send it now' },
    ),
    last_error: nullable('The last error, or why it was not sent'),
    request_id: nullable('Id of the request that caused the flip'),
  },
  closed,
)

export const deliverySchemas = { Delivery }

const example = {
  id: '9d1f2c8e-3b53-4a0e-8a55-2f7c1b0d9e11',
  check: exampleCheck,
  channel: exampleChannel,
  event: 'down',
  flip: { at: '2026-11-24T03:25:00.000+00:00', from: 'up', to: 'down', reason: 'timeout' },
  status: 'retrying',
  attempts: 2,
  next_attempt: '2026-11-24T03:25:17.210+00:00',
  waiting_for: null,
  last_error: 'the destination answered 503',
  request_id: null,
}

/** `id` in an address, with what it means. */
export const idOf = (what: string, id: string) =>
  Type.Object({ id: withExample(ById.properties.id, id, `uuid of the ${what}`) })

export const listDeliveries = {
  operationId: 'listDeliveries',
  tags: ['channels'],
  summary: 'Every alert and its outcome, the newest first',
  querystring: DeliveryQuery,
  response: {
    200: json(
      'The deliveries',
      Type.Object({
        deliveries: Type.Array(ref<DeliveryDocument>('Delivery')),
        next: nullable('What `after` is for the page behind'),
      }),
      { deliveries: [example], next: null },
    ),
  },
  refusals: refusals(400, 401, 429),
}

export const resendDelivery = {
  operationId: 'resendDelivery',
  tags: ['channels'],
  summary: 'Retry a dead alert for another day',
  params: idOf('delivery', example.id),
  response: {
    200: json('The delivery after the call', ref<DeliveryDocument>('Delivery'), {
      ...example,
      status: 'pending',
      attempts: 31,
      next_attempt: '2026-11-25T04:00:00.000+00:00',
    }),
  },
  refusals: refusals(400, 401, 404, 409, 429),
}
