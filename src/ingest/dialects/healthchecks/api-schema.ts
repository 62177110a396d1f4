// The schemas of pings, which describe but do not validate: validation would cost time on a call that comes thousands
// of times a second.

import { Type } from 'typebox'
import { text, withExample } from '../../../http/schemas/api-schema.ts'
import { exampleCheck } from '../../../http/schemas/examples.ts'

const actions = '`start`, `fail`, `log`, or an exit status: 0 is success, 1 to 255 failure'
const word = Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 100 })
const action = Type.String({ pattern: '^(start|fail|log|[0-9]+)$', maxLength: 100 })

const parts = {
  first: withExample(word, exampleCheck, "uuid of the check, or the project's ping key"),
  second: withExample(word, 'start', `Behind a uuid: ${actions}; behind a ping key: the slug`),
  third: withExample(action, 'start', actions),
}

const Query = Type.Object({
  rid: Type.Optional(
    withExample(Type.String(), '2c1d0a52-8a44-4d6c-9d1e-0d9f4b7f7a11', 'Run id: ties the start of a run to its end'),
  ),
  create: Type.Optional(withExample(Type.String(), '1', '`1` makes the check if no check has the slug')),
  state: Type.Optional(
    withExample(
      Type.String(),
      'fail',
      "What happened, in the words of Cronitor's clients: run, complete, ok, tick or fail",
    ),
  ),
})

const shapes = {
  '': { id: 'ping', summary: 'The job succeeded' },
  '/': { id: 'pingSlash', summary: 'The job succeeded' },
  '/:second': {
    id: 'pingAction',
    summary: 'A run begins, fails, ends or logs; or by slug: the job succeeded',
  },
  '/:second/:third': { id: 'pingSlugAction', summary: 'A run begins, fails, ends or logs, by slug' },
}

/** For one form of the address, below /ping/ or on the bare root. */
export function pingCall(prefix: string, suffix: keyof typeof shapes) {
  const { id, summary } = shapes[suffix]
  const names = Object.keys(parts) as (keyof typeof parts)[]
  const known = names.filter((name) => `${prefix}${suffix}`.includes(`:${name}`))
  return {
    operationId: prefix.startsWith('/ping/') ? id : `${id}OnRoot`,
    tags: ['pings'],
    summary,
    description: 'A body of any type is kept, cut at `Ping-Body-Limit`.',
    described: {
      params: Type.Object(Object.fromEntries(known.map((name) => [name, parts[name]]))),
      querystring: Query,
    },
    response: {
      200: text('Recorded: the heartbeat is on disk', 'OK'),
      201: text('Recorded, and the check was created', 'Created'),
    },
    refusals: {
      400: text('The address, `rid` or `state` is malformed', 'invalid uuid format'),
      404: text('The check does not exist', 'not found'),
      409: text('Several checks have the slug', 'ambiguous slug'),
      429: text("More than the check's owner allows; Retry-After says when to try again", 'rate limit exceeded'),
      503: text('Not recorded; Retry-After says when to try again', 'too many heartbeats, try again shortly'),
    },
  }
}
