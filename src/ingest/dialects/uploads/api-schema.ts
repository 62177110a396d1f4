// The upload of many heartbeats: its parameters, its answers, and examples. Entries are validated one by one
// (entries.ts).

import { Type } from 'typebox'
import { closed, json, refusals, withExample } from '../../../http/schemas/api-schema.ts'
import { exampleCheck } from '../../../http/schemas/examples.ts'
import { uuidPattern } from '../../../kit/identifier.ts'

const Entry = Type.Object(
  {
    check: Type.String({ minLength: 1, maxLength: 100, description: 'uuid or slug of a check' }),
    kind: Type.Optional(Type.String({ enum: ['success', 'start', 'fail', 'log'] })),
    at: Type.Optional(Type.String({ description: 'When it was sent: from 7 days ago to 5 minutes ahead' })),
    exit_status: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
    rid: Type.Optional(Type.String({ pattern: `^${uuidPattern}$`, description: 'Run id' })),
    body: Type.Optional(Type.String()),
    id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: 'Known to its check for 72 hours: the second with the same id is a duplicate',
      }),
    ),
  },
  closed,
)

export const uploadHeartbeats = {
  operationId: 'uploadHeartbeats',
  tags: ['pings'],
  summary: 'Many heartbeats at once',
  description:
    'A JSON array, or one JSON object a line. With an API key or the ping key. A line that is broken is a rejected entry, an array that is broken is refused as a whole. At most 10,000 heartbeats and 16 MB. While the database is away and heartbeats are spooled, `accepted` means on disk: what proves to have no check of the caller, or to be known by its `id`, is left out later.',
  described: {
    body: withExample(Type.Array(Entry, { minItems: 1, maxItems: 10_000 }), [
      { check: exampleCheck, at: '2026-11-24T03:15:00+00:00', exit_status: 0, id: 'upload-7-1' },
      { check: 'nightly-backup' },
    ]),
  },
  response: {
    200: json(
      'The outcomes, also if all entries are rejected',
      Type.Object({
        accepted: Type.Integer(),
        duplicates: Type.Integer(),
        rejected: Type.Array(Type.Object({ index: Type.Integer(), error: Type.String() })),
      }),
      { accepted: 1, duplicates: 0, rejected: [{ index: 1, error: 'check not found' }] },
    ),
  },
  refusals: refusals(400, 401, 413),
}
