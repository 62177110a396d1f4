import { Type } from 'typebox'
import { closed, json, nullable, refusals } from '../../http/schemas/api-schema.ts'
import { exampleCheck } from '../../http/schemas/examples.ts'
import { uuidPattern } from '../../kit/identifier.ts'

const Id = Type.Object({ id: Type.String({ pattern: `^${uuidPattern}$`, description: 'uuid of the check' }) })
const weekS = 604_800

export const rotateSigningSecret = {
  operationId: 'rotateSigningSecret',
  tags: ['checks'],
  summary: 'A new secret, with which the heartbeats of this check must be signed',
  params: Id,
  querystring: Type.Object(
    {
      overlap: Type.Integer({
        minimum: 0,
        maximum: weekS,
        default: 0,
        description: 'Seconds for which the current secret stays valid',
      }),
    },
    closed,
  ),
  response: {
    200: json(
      'The secret, shown this once',
      Type.Object({ signing_secret: Type.String(), previous_until: nullable() }, closed),
      { signing_secret: 'q1Zk5w0w3oE0l2pZ5mQ0o3g2p9S2y0rJ7cU4bV8nX1s', previous_until: null },
    ),
  },
  refusals: refusals(400, 401, 403, 404, 429),
}

export const removeSigningSecret = {
  operationId: 'removeSigningSecret',
  tags: ['checks'],
  summary: 'Heartbeats of this check need no signature any more',
  params: Id,
  response: {
    200: json('It is removed', Type.Object({ uuid: Type.String() }, closed), { uuid: exampleCheck }),
  },
  refusals: refusals(401, 403, 404, 429),
}
