// The calls that read the heartbeats of a check: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, healthchecksRefusals, json, nullable, ref, text, withExample } from '../../http/schemas/api-schema.ts'
import { exampleCheck, exampleSite } from '../../http/schemas/examples.ts'
import type { ApiVersion } from '../../http/schemas/healthchecks-api.ts'
import { uuidPattern } from '../../kit/identifier.ts'
import type { PingDocument } from './history.ts'

const Ping = Type.Object(
  {
    type: Type.String({ enum: ['success', 'start', 'fail', 'log', 'ign'] }),
    date: Type.String({ description: 'ISO 8601 with microseconds' }),
    n: Type.Integer({ description: 'Number of the ping, without gaps' }),
    scheme: Type.String(),
    remote_addr: Type.String(),
    method: Type.String(),
    ua: Type.String(),
    rid: nullable('Run id'),
    body_url: nullable('Address of its body'),
    duration: Type.Optional(Type.Number({ description: 'Seconds since the start of the run that it ends' })),
  },
  closed,
)

export const historySchemas = { Ping }

const id = withExample(Type.String({ pattern: `^${uuidPattern}$` }), exampleCheck, 'uuid of the check')

const pingOf = (version: ApiVersion) => ({
  type: 'success',
  date: '2026-11-24T03:16:10.482000+00:00',
  n: 12,
  scheme: 'https',
  remote_addr: '192.0.2.7',
  method: 'POST',
  ua: 'curl/8.14.1',
  rid: null,
  body_url: `${exampleSite}/api/v${version}/checks/${exampleCheck}/pings/12/body`,
  duration: 70.41,
})

const call = (name: string, version: ApiVersion) => ({
  operationId: version === 3 ? name : `${name}V${version}`,
  tags: ['checks'],
  ...(version < 3 && { deprecated: true }),
})

export const listPings = (version: ApiVersion) => ({
  ...call('listPings', version),
  summary: 'The heartbeats of a check, the newest first',
  params: Type.Object({ id }),
  querystring: Type.Object({
    limit: Type.Optional(
      withExample(Type.Integer({ minimum: 1, maximum: 1000 }), 100, 'The largest number of pings, by default 100'),
    ),
  }),
  response: {
    200: json('The pings', Type.Object({ pings: Type.Array(ref<PingDocument>('Ping')) }), { pings: [pingOf(version)] }),
  },
  refusals: healthchecksRefusals(400, 401, 404, 429),
})

export const getPingBody = (version: ApiVersion) => ({
  ...call('getPingBody', version),
  summary: 'The body of a ping, unchanged',
  params: Type.Object({ id, n: withExample(Type.Integer({ minimum: 1 }), 12, 'Number of the ping') }),
  response: { 200: text('The body', '70 files copied') },
  refusals: healthchecksRefusals(401, 404, 429),
})
