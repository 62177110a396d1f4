// The calls on checks: their parameters, their answers, and examples. The fields come from fields.ts.

import { type TSchema, Type } from 'typebox'
import {
  closed,
  healthchecksRefusals,
  json,
  nothing,
  nullable,
  text as plainText,
  ref,
  withExample,
} from '../http/schemas/api-schema.ts'
import { exampleChannel, exampleCheck, exampleSite } from '../http/schemas/examples.ts'
import type { ApiVersion } from '../http/schemas/healthchecks-api.ts'
import { uuidPattern } from '../kit/identifier.ts'
import { type CheckDocument, documentParts } from './document.ts'
import { fields, wireFields } from './fields/fields.ts'
import type { FlipDocument } from './reading.ts'

type Schemas = Record<string, TSchema>

const optional = (schemas: Schemas): Schemas =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, Type.Optional(schema)]))
const schemasOf = (list: typeof wireFields): Schemas =>
  Object.fromEntries(list.map(({ name, type, about }) => [name, type.schema({ description: about })]))

/** The fields of Healthchecks without the schedule; the schedule; and Flatline's own fields. */
export const settings = schemasOf(wireFields.filter(({ isOurs, isSchedule }) => !isOurs && !isSchedule))
export const schedule = optional(schemasOf(wireFields.filter(({ isSchedule }) => isSchedule)))
export const extensions = optional(schemasOf(wireFields.filter(({ isOurs }) => isOurs)))

const keywords: Schemas = {
  subject: fields.successKw.type.schema({ description: 'Older name of success_kw' }),
  subject_fail: fields.failureKw.type.schema({ description: 'Older name of failure_kw' }),
}
const text = (description: string) => Type.String({ description })

/** In the order of the documents, because a serialiser writes in the order of its schema. */
const Check = Type.Object(
  {
    ...schemasOf(documentParts.about),
    n_pings: Type.Integer({ description: 'Heartbeats recorded' }),
    status: Type.String({
      enum: ['new', 'up', 'grace', 'down', 'paused', 'started'],
      description: '`started` in version 1 only, while a run is open',
    }),
    started: Type.Boolean({ description: 'A run is open' }),
    last_ping: nullable('Time of the last success or failure'),
    next_ping: nullable('Time at which the next one is due'),
    ...schemasOf(documentParts.acceptance),
    ...keywords,
    ...schemasOf(documentParts.filters),
    badge_url: text('Its badge'),
    last_duration: Type.Optional(Type.Integer({ description: 'Duration of the last run in seconds, if known' })),
    ...optional({
      uuid: text('Only for a read-write key, like the addresses'),
      ping_url: text('Address for heartbeats'),
      update_url: text('Address to change the check'),
      pause_url: text('Address to pause the check'),
      resume_url: text('Address to resume the check'),
      channels: text('Ids of its channels, joined by commas'),
      unique_key: text('For a read-only key, instead of the uuid and the addresses'),
    }),
    ...schedule,
    ...extensions,
    signed: Type.Optional(Type.Boolean({ description: 'Whether its heartbeats must be signed; absent if not' })),
  },
  closed,
)

const channels = Type.String({
  maxLength: 100_000,
  description: '`*` for all of the project, or ids and names joined by commas; absent: unchanged',
})
const unique = Type.Array(Type.String({ enum: ['name', 'slug', 'tags', 'timeout', 'grace'] }), {
  description: 'On create: a check that equals this one in all of these fields is updated instead',
})
const CheckSettings = Type.Object(
  {
    ...optional({ ...settings, ...schedule, ...keywords }),
    ...optional(
      Object.fromEntries(Object.entries(extensions).map(([name, schema]) => [name, Type.Union([schema, Type.Null()])])),
    ),
    ...optional({ channels, unique, api_key: text('Instead of the header X-Api-Key') }),
  },
  { description: 'Everything is optional. `null` removes a field that Healthchecks does not have.' },
)

const Flip = Type.Object({ timestamp: Type.String(), up: Type.Integer({ minimum: 0, maximum: 1 }) }, closed)

export const checkSchemas = { Check, CheckSettings, Flip }

export const checkExample = {
  name: 'nightly backup',
  slug: 'nightly-backup',
  tags: 'db prod',
  desc: '',
  grace: 600,
  n_pings: 12,
  status: 'up',
  started: false,
  last_ping: '2026-11-24T03:16:10+00:00',
  next_ping: '2026-11-25T01:15:00+00:00',
  manual_resume: false,
  methods: '',
  subject: '',
  subject_fail: '',
  start_kw: '',
  success_kw: '',
  failure_kw: '',
  filter_subject: false,
  filter_body: false,
  filter_http_body: false,
  filter_default_fail: false,
  badge_url: `${exampleSite}/b/2/5e5a2f0e-7d5f-4a5e-8f5a-3a1f0d2b7c11.svg`,
  last_duration: 70,
  uuid: exampleCheck,
  ping_url: `${exampleSite}/ping/${exampleCheck}`,
  update_url: `${exampleSite}/api/v3/checks/${exampleCheck}`,
  pause_url: `${exampleSite}/api/v3/checks/${exampleCheck}/pause`,
  resume_url: `${exampleSite}/api/v3/checks/${exampleCheck}/resume`,
  channels: exampleChannel,
  schedule: '15 3 * * *',
  tz: 'Europe/Riga',
  max_runtime: 600,
}

const check = (description: string) => json(description, ref<CheckDocument>('Check'), checkExample)
const body = (example: object) => withExample(ref<Record<string, unknown>>('CheckSettings'), example)

const Id = Type.Object({
  id: withExample(Type.String({ pattern: `^${uuidPattern}$` }), exampleCheck, 'uuid of the check'),
})
const EitherId = Type.Object({
  id: withExample(
    Type.String({ pattern: `^(${uuidPattern}|[0-9a-f]{40})$` }),
    exampleCheck,
    'uuid or unique key of the check',
  ),
})

const limit = withExample(
  Type.Integer({ minimum: 1, maximum: 1000 }),
  100,
  'The largest number of checks, by default 100',
)
const unixSeconds = Type.Integer({ minimum: 0, maximum: 10_000_000_000 })
const cursor = Buffer.from('1795478400000.b6589fc6ab0dc82cf12099d1c2d40ab994e8410c').toString('base64url')
const ListQuery = Type.Object({
  tag: Type.Optional(
    withExample(
      Type.Array(Type.String()),
      ['db'],
      'Only checks with this tag; if given several times, with all of them',
    ),
  ),
  slug: Type.Optional(withExample(Type.String(), 'nightly-backup', 'Only checks with this slug')),
  limit: Type.Optional(limit),
  after: Type.Optional(withExample(Type.String({ pattern: '^[A-Za-z0-9_-]+$' }), cursor, '`next` of the page before')),
})
const FlipQuery = Type.Object({
  seconds: Type.Optional(
    withExample(Type.Integer({ minimum: 0, maximum: 31_536_000 }), 86_400, 'Only flips of the last so many seconds'),
  ),
  start: Type.Optional(withExample(unixSeconds, 1_795_478_400, 'Only flips from this time on, in unix seconds')),
  end: Type.Optional(withExample(unixSeconds, 1_795_478_400, 'Only flips before this time, in unix seconds')),
})

/** The calls of a version; the newest has the plain names. */
export function checkCalls(version: ApiVersion) {
  const call = (name: string) => ({
    operationId: version === 3 ? name : `${name}V${version}`,
    tags: ['checks'],
    ...(version < 3 && { deprecated: true }),
  })
  return { ...collectionCalls(version, call), ...singleCalls(call) }
}

type DescribeOperation = (name: string) => { operationId: string; tags: string[] }

function collectionCalls(version: ApiVersion, call: DescribeOperation) {
  return {
    list: {
      ...call('listChecks'),
      summary: 'List checks',
      description: 'All of them in one answer, in order of creation; in pages if `limit` is given.',
      querystring: ListQuery,
      response: {
        200: json(
          'The checks',
          Type.Object({
            checks: Type.Array(ref<CheckDocument>('Check')),
            next: Type.Optional(nullable('Only with `limit`')),
          }),
          { checks: [checkExample] },
        ),
      },
      refusals: healthchecksRefusals(400, 401, 429),
    },
    create: {
      ...call('createCheck'),
      summary: 'Create a check, or update the one that `unique` finds',
      description:
        version === 3
          ? 'With a schedule the check follows it, otherwise it has a timeout. The body may be empty.'
          : 'A name also sets the slug, unless one is given.',
      body: body({
        name: 'nightly backup',
        schedule: '15 3 * * *',
        tz: 'Europe/Riga',
        grace: 600,
        unique: ['name'],
      }),
      response: { 200: check('Updated'), 201: check('Created') },
      refusals: { ...healthchecksRefusals(400, 401, 403, 429), ...taken },
    },
  }
}

const taken = { 409: plainText('Another check has this push token', 'push_token is taken by another check') }

function singleCalls(call: DescribeOperation) {
  const refusals = healthchecksRefusals(401, 404, 429)
  return {
    get: {
      ...call('getCheck'),
      summary: 'Read a check',
      params: EitherId,
      response: { 200: check('The check') },
      refusals,
    },
    update: {
      ...call('updateCheck'),
      summary: 'Change a check',
      description: 'Fields that are not given stay unchanged.',
      params: Id,
      body: body({ grace: 900, max_runtime: null, channels: '*' }),
      response: { 200: check('The check after the call') },
      refusals: { ...healthchecksRefusals(400, 401, 404, 429), ...taken },
    },
    remove: {
      ...call('deleteCheck'),
      summary: 'Delete a check',
      params: Id,
      response: { 200: check('The deleted check') },
      refusals,
    },
    pause: {
      ...call('pauseCheck'),
      summary: 'Pause a check until it is resumed or the next heartbeat comes',
      params: Id,
      response: { 200: check('The check after the call') },
      refusals,
    },
    resume: {
      ...call('resumeCheck'),
      summary: 'Resume a paused check',
      params: Id,
      response: { 200: check('The check after the call') },
      refusals: healthchecksRefusals(401, 404, 409, 429),
    },
    flips: {
      ...call('listFlips'),
      summary: 'Changes of status, the newest first',
      params: EitherId,
      querystring: FlipQuery,
      response: {
        200: json('The flips', Type.Object({ flips: Type.Array(ref<FlipDocument>('Flip')) }), {
          flips: [{ timestamp: '2026-11-24T03:16:10+00:00', up: 1 }],
        }),
      },
      refusals: { ...refusals, 400: nothing('A parameter is not a whole number, or out of range') },
    },
  }
}
