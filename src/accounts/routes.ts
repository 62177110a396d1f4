import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Uuid } from '../http/schema.ts'
import { isoMillis } from '../kit/instant.ts'
import type { Projects } from './service.ts'
import { keyKinds } from './store.ts'

const base = '/api/v3/projects'
const Id = Type.Object({ id: Uuid })
const Name = Type.Object(
  { name: Type.String({ maxLength: 200, pattern: '^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$' }) },
  { additionalProperties: false },
)
const KeyOf = Type.Object({ id: Uuid, kind: Type.Enum(keyKinds) })
const Page = Type.Object(
  { limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }), after: Type.Optional(Uuid) },
  { additionalProperties: false },
)

const AdoptedKeys = Type.Object(
  {
    ping_key: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{22}$' })),
    badge_key: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{8,150}$' })),
    badge_secret: Type.Optional(Type.String({ pattern: '^[0-9a-f]{40}$' })),
  },
  { additionalProperties: false, minProperties: 1 },
)

/** Projects and their keys, for the administrator. Keys are shown in the answer that makes them and never again. */
export const projectRoutes: FastifyPluginAsyncTypebox<{ projects: Projects }> = async (app, { projects }) => {
  const config = { access: 'admin' } as const

  for (const slash of ['', '/']) {
    app.post(`${base}${slash}`, { config, schema: { body: Name } }, async (request, reply) => {
      reply.code(201)
      return projects.create(request.caller, request.body.name.trim())
    })

    app.get(`${base}${slash}`, { config, schema: { querystring: Page } }, async (request) => {
      const { limit, after } = request.query
      const page = await projects.list(limit + 1, after)
      const shown = page.slice(0, limit)
      return {
        projects: shown.map(({ id, name, createdAt }) => ({ id, name, created: isoMillis(createdAt.getTime()) })),
        next: page.length > limit ? shown.at(-1)?.id : null,
      }
    })

    app.delete(`${base}/:id${slash}`, { config, schema: { params: Id } }, async (request, reply) => {
      await projects.remove(request.caller, request.params.id)
      return reply.code(204).send()
    })

    // For the project itself: none of these opens more than the key that is needed for the call.
    const adopt = { config: { access: 'write' }, schema: { body: AdoptedKeys } } as const
    app.post(`/api/v3/keys/adopt${slash}`, adopt, async (request) => {
      const { ping_key: pingKey, badge_key: badgeKey, badge_secret: secret } = request.body
      const badgeSecret = secret === undefined ? undefined : Buffer.from(secret, 'hex')
      return { changed: await projects.adoptKeys(request.caller, { pingKey, badgeKey, badgeSecret }) }
    })

    app.post(`${base}/:id/keys/:kind/rotate${slash}`, { config, schema: { params: KeyOf } }, async (request) => {
      const { id, kind } = request.params
      return { [kind]: await projects.rotateKey(request.caller, id, kind) }
    })
  }
}
