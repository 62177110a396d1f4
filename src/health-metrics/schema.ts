// The calls that read samples of the service's own metrics: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, json, refusals } from '../http/schemas/api-schema.ts'

const Text = Type.Optional(Type.String({ minLength: 1, maxLength: 300 }))
const Query = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100 }),
    from: Text,
    to: Text,
    step: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
    tags: Type.Optional(Type.Union([Type.String({ maxLength: 1000 }), Type.Array(Type.String(), { maxItems: 20 })])),
  },
  closed,
)

export const listHealthMetrics = {
  operationId: 'listHealthMetrics',
  tags: ['service'],
  summary: 'Samples of a metric of the service over time',
  querystring: Query,
  response: {
    200: json(
      'Points of unix seconds, minimum, average and maximum',
      Type.Object({
        name: Type.String(),
        step: Type.Integer(),
        points: Type.Array(Type.Array(Type.Number(), { minItems: 4, maxItems: 4 })),
      }),
      { name: 'queue_length', step: 60, points: [[1_795_478_400, 0, 1.5, 12]] },
    ),
  },
  refusals: refusals(400, 401, 429),
}

export const listHealthMetricNames = {
  operationId: 'listHealthMetricNames',
  tags: ['service'],
  summary: 'The names of the metrics with samples',
  response: {
    200: json('The names', Type.Object({ names: Type.Array(Type.String()) }), { names: ['queue_length'] }),
  },
  refusals: refusals(401, 429),
}
