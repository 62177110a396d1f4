import { Type } from 'typebox'
import type { ApiVersion } from '../http/healthchecks-api.ts'
import { uuidPattern } from '../kit/identifier.ts'
import { channelId, checkExample, site, uuid } from './examples.ts'
import { json, nothing, type Operations, type Parameter, ref, refusals, text } from './operation.ts'

const versions: readonly ApiVersion[] = [1, 2, 3]

const id: Parameter = {
  type: 'string',
  pattern: `^${uuidPattern}$`,
  description: 'uuid of the check',
  example: uuid,
}
const eitherId: Parameter = {
  type: 'string',
  pattern: `^(${uuidPattern}|[0-9a-f]{40})$`,
  description: 'uuid or unique key of the check',
  example: uuid,
}
const limit: Parameter = {
  type: 'integer',
  minimum: 1,
  maximum: 1000,
  description: 'How many at most, 100 without it',
  example: 100,
}
const instant = (description: string): Parameter => ({
  type: 'integer',
  minimum: 0,
  maximum: 10_000_000_000,
  description,
  example: 1_795_478_400,
})

const list = (name: string, item: string) => Type.Object({ [name]: Type.Array(Type.Unsafe(ref(item))) })
const check = (description: string) => json(description, ref('Check'), checkExample)
const flip = { timestamp: '2026-11-24T03:16:10+00:00', up: 1 }

const range = {
  seconds: {
    type: 'integer' as const,
    minimum: 0,
    maximum: 31_536_000,
    description: 'Those of the last so many seconds',
    example: 86_400,
  },
  start: instant('Those from then on, in unix seconds'),
  end: instant('Those before then, in unix seconds'),
}

/** How a version's calls are told apart, and whether it is still recommended. */
const about = (version: ApiVersion) => ({
  suffix: version === 3 ? '' : `V${version}`,
  deprecated: version < 3,
})

export const checkOperations: Operations = Object.assign({}, ...versions.map(ofVersion))

function ofVersion(version: ApiVersion): Operations {
  return { ...collection(version), ...single(version), ...history(version), ...lists(version) }
}

function collection(version: ApiVersion): Operations {
  const { suffix, deprecated } = about(version)
  const url = `/api/v${version}/checks/`
  const page = Type.Object({
    checks: Type.Array(Type.Unsafe(ref('Check'))),
    next: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'Only with `limit`' })),
  })
  return {
    [`GET ${url}`]: {
      id: `listChecks${suffix}`,
      tag: 'checks',
      summary: 'List checks',
      description: 'All of them in one answer, in order of creation; in pages if `limit` is given.',
      query: {
        tag: {
          type: 'array',
          items: { type: 'string' },
          description: 'Those with this tag; given several times, with all of them',
          example: ['db'],
        },
        slug: { type: 'string', description: 'Those with this slug', example: 'nightly-backup' },
        limit,
        after: {
          type: 'string',
          pattern: '^[A-Za-z0-9_-]+$',
          description: '`next` of the page before',
          example: Buffer.from('1795478400000.b6589fc6ab0dc82cf12099d1c2d40ab994e8410c').toString('base64url'),
        },
      },
      answers: {
        200: json('The checks', page, { checks: [checkExample] }),
        ...refusals('healthchecks', 400, 401, 429),
      },
      deprecated,
    },
    [`POST ${url}`]: {
      id: `createCheck${suffix}`,
      tag: 'checks',
      summary: 'Create a check, or update the one that `unique` finds',
      description:
        version === 3
          ? 'A schedule makes it follow the schedule, else it is a timeout. An empty body will do.'
          : 'A name also sets the slug, unless one is given.',
      body: {
        schema: ref('CheckSettings'),
        example: { name: 'nightly backup', schedule: '15 3 * * *', tz: 'Europe/Riga', grace: 600, unique: ['name'] },
      },
      answers: {
        200: check('Updated'),
        201: check('Created'),
        ...refusals('healthchecks', 400, 401, 403, 429),
      },
      deprecated,
    },
  }
}

function single(version: ApiVersion): Operations {
  const { suffix, deprecated } = about(version)
  const url = `/api/v${version}/checks/:id`
  const refused = refusals('healthchecks', 401, 404, 429)
  const call = { tag: 'checks' as const, path: { id }, deprecated }
  return {
    [`GET ${url}`]: {
      ...call,
      id: `getCheck${suffix}`,
      summary: 'Read a check',
      path: { id: eitherId },
      answers: { 200: check('The check'), ...refused },
    },
    [`POST ${url}`]: {
      ...call,
      id: `updateCheck${suffix}`,
      summary: 'Change a check',
      description: 'What is not given stays as it is.',
      body: { schema: ref('CheckSettings'), example: { grace: 900, max_runtime: null, channels: '*' } },
      answers: { 200: check('As it is now'), ...refusals('healthchecks', 400), ...refused },
    },
    [`DELETE ${url}`]: {
      ...call,
      id: `deleteCheck${suffix}`,
      summary: 'Delete a check',
      answers: { 200: check('As it was'), ...refused },
    },
    [`POST ${url}/pause`]: {
      ...call,
      id: `pauseCheck${suffix}`,
      summary: 'Stop watching a check, until it is resumed or the next heartbeat',
      answers: { 200: check('As it is now'), ...refused },
    },
    [`POST ${url}/resume`]: {
      ...call,
      id: `resumeCheck${suffix}`,
      summary: 'Watch a paused check again',
      answers: { 200: check('As it is now'), ...refused, ...refusals('healthchecks', 409) },
    },
  }
}

function history(version: ApiVersion): Operations {
  const { suffix, deprecated } = about(version)
  const url = `/api/v${version}/checks/:id`
  const refused = refusals('healthchecks', 400, 401, 404, 429)
  const call = { tag: 'checks' as const, path: { id }, deprecated }
  const ping = {
    type: 'success',
    date: '2026-11-24T03:16:10.482000+00:00',
    n: 12,
    scheme: 'https',
    remote_addr: '192.0.2.7',
    method: 'POST',
    ua: 'curl/8.14.1',
    rid: null,
    body_url: `${site}/api/v${version}/checks/${uuid}/pings/12/body`,
    duration: 70.41,
  }
  return {
    [`GET ${url}/pings/`]: {
      ...call,
      id: `listPings${suffix}`,
      summary: 'What was received for a check, the newest first',
      query: { limit },
      answers: { 200: json('The pings', list('pings', 'Ping'), { pings: [ping] }), ...refused },
    },
    [`GET ${url}/pings/:n/body`]: {
      ...call,
      id: `getPingBody${suffix}`,
      summary: 'The body of a ping, as it came',
      path: { id, n: { type: 'integer', minimum: 1, description: 'Number of the ping', example: 12 } },
      answers: { 200: text('The body', '70 files copied'), ...refusals('healthchecks', 401, 404, 429) },
    },
    [`GET ${url}/flips/`]: {
      ...call,
      id: `listFlips${suffix}`,
      summary: 'Changes of status, the newest first',
      path: { id: eitherId },
      query: range,
      answers: {
        200: json('The flips', list('flips', 'Flip'), { flips: [flip] }),
        ...refusals('healthchecks', 401, 404, 429),
        400: nothing('A parameter is no whole number, or out of range'),
      },
    },
  }
}

function lists(version: ApiVersion): Operations {
  const { suffix, deprecated } = about(version)
  return {
    [`GET /api/v${version}/channels/`]: {
      id: `listChannels${suffix}`,
      tag: 'channels',
      summary: 'List channels',
      answers: {
        200: json('The channels', list('channels', 'Channel'), {
          channels: [{ id: channelId, name: 'on call', kind: 'webhook' }],
        }),
        ...refusals('healthchecks', 401, 429),
      },
      deprecated,
    },
  }
}
