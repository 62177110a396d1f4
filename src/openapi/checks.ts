import { Type } from 'typebox'
import type { ApiVersion } from '../http/healthchecks-api.ts'
import { uuidPattern } from '../kit/identifier.ts'
import { channelId, site, uuid } from './examples.ts'
import { json, type Operations, type Parameter, ref, refusals, text } from './operation.ts'

const versions: readonly ApiVersion[] = [1, 2, 3]

const id: Parameter = {
  type: 'string',
  pattern: `^${uuidPattern}$`,
  description: 'uuid of the check',
  example: uuid,
}
const limit: Parameter = {
  type: 'integer',
  minimum: 1,
  maximum: 1000,
  description: 'How many at most, 100 without it',
  example: 100,
}
const list = (name: string, item: string) => Type.Object({ [name]: Type.Array(Type.Unsafe(ref(item))) })
/** How a version's calls are told apart, and whether it is still recommended. */
const about = (version: ApiVersion) => ({
  suffix: version === 3 ? '' : `V${version}`,
  deprecated: version < 3,
})

export const checkOperations: Operations = Object.assign({}, ...versions.map(ofVersion))

function ofVersion(version: ApiVersion): Operations {
  return { ...history(version), ...lists(version) }
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
