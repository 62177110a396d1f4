// Calls whose address is the credential: pings, badges, and a project's metrics.

import { Type } from 'typebox'
import { uuidPattern } from '../kit/identifier.ts'
import { uuid } from './examples.ts'
import { json, type Operations, type Parameter, refusals, text } from './operation.ts'

const rid: Parameter = {
  type: 'string',
  description: 'Run id: ties the start of a run to its end',
  example: '2c1d0a52-8a44-4d6c-9d1e-0d9f4b7f7a11',
}
const create: Parameter = {
  type: 'string',
  description: '`1` makes the check if no check has the slug',
  example: '1',
}
const state: Parameter = {
  type: 'string',
  description: "What happened, in the words of Cronitor's clients: run, complete, ok, tick or fail",
  example: 'fail',
}

const pinged = {
  200: text('Recorded: the heartbeat is on disk', 'OK'),
  201: text('Recorded, and the check was made', 'Created'),
  400: text('The address, `rid` or `state` is malformed', 'invalid uuid format'),
  404: text('There is no such check', 'not found'),
  409: text('Several checks have the slug', 'ambiguous slug'),
  429: text("More than the check's owner allows; Retry-After says when to try again", 'rate limit exceeded'),
  503: text('Not recorded; Retry-After says when to try again', 'too many heartbeats, try again shortly'),
}

const actions = '`start`, `fail`, `log`, or an exit status: 0 is success, 1 to 255 failure'
const parts: Record<string, Parameter> = {
  first: {
    type: 'string',
    pattern: '^[A-Za-z0-9_-]+$',
    maxLength: 100,
    description: "uuid of the check, or the project's ping key",
    example: uuid,
  },
  second: {
    type: 'string',
    pattern: '^[A-Za-z0-9_-]+$',
    maxLength: 100,
    description: `Behind a uuid: ${actions}; behind a ping key: the slug`,
    example: 'start',
  },
  third: {
    type: 'string',
    pattern: '^(start|fail|log|[0-9]+)$',
    maxLength: 100,
    description: actions,
    example: 'start',
  },
}

const shapes = [
  { suffix: '', id: 'ping', summary: 'The job succeeded' },
  { suffix: '/', id: 'pingSlash', summary: 'The job succeeded' },
  {
    suffix: '/:second',
    id: 'pingAction',
    summary: 'A run begins, fails, ends or says something; or by slug: it succeeded',
  },
  { suffix: '/:second/:third', id: 'pingSlugAction', summary: 'A run begins, fails, ends or says something, by slug' },
]

/** Under /ping/, and on the bare root for ping hosts. */
const pings: Operations = Object.fromEntries(
  [
    { prefix: '/ping/:first', name: (id: string) => id },
    { prefix: '/:first(^(?:[\\w-]{22}|[\\w-]{36})$)', name: (id: string) => `${id}OnRoot` },
  ].flatMap(({ prefix, name }) =>
    shapes.map(({ suffix, id, summary }) => [
      `GET,HEAD,POST,PUT ${prefix}${suffix}`,
      {
        id: name(id),
        tag: 'pings' as const,
        summary,
        description: 'A body of any type is kept, cut at `Ping-Body-Limit`.',
        path: Object.fromEntries(Object.entries(parts).filter(([part]) => `${prefix}${suffix}`.includes(`:${part}`))),
        query: { rid, create, state },
        answers: pinged,
      },
    ]),
  ),
)

const beat = Type.Object(
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
  { additionalProperties: false },
)

const bulk: Operations = {
  'POST /api/v3/heartbeats/': {
    id: 'uploadHeartbeats',
    tag: 'pings',
    summary: 'Many heartbeats at once',
    description:
      'A JSON array, or one JSON object a line. With an API key or the ping key. A line that is broken is a rejected entry, an array that is broken is refused as a whole. At most 10,000 heartbeats and 16 MB. While the database is away and heartbeats are spooled, `accepted` means on disk: what proves to have no check of the caller, or to be known by its `id`, is left out later.',
    body: {
      schema: Type.Array(beat, { minItems: 1, maxItems: 10_000 }),
      example: [
        { check: uuid, at: '2026-11-24T03:15:00+00:00', exit_status: 0, id: 'upload-7-1' },
        { check: 'nightly-backup' },
      ],
    },
    answers: {
      200: json(
        'What became of them, also where all are rejected',
        Type.Object({
          accepted: Type.Integer(),
          duplicates: Type.Integer(),
          rejected: Type.Array(Type.Object({ index: Type.Integer(), error: Type.String() })),
        }),
        { accepted: 1, duplicates: 0, rejected: [{ index: 1, error: 'check not found' }] },
      ),
      ...refusals('ours', 400, 401, 413),
    },
  },
}

export const publicOperations: Operations = { ...pings, ...bulk }
