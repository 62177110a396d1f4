import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isoMillis } from '../kit/instant.ts'
import { adoptKeys, createProject, deleteProject, listProjects, rotateKey } from './schema.ts'
import type { Projects } from './service.ts'

const base = '/api/v3/projects'

/** Projects and their keys, for the operator. A key is shown once, in the answer to the call that creates it. */
export const projectRoutes: FastifyPluginAsyncTypebox<{ projects: Projects }> = async (app, { projects }) => {
  for (const slash of ['', '/']) {
    const undocumented = slash === ''
    const read = { requires: 'projects:read', undocumented } as const
    const write = { requires: 'projects:write', undocumented } as const

    app.post(`${base}${slash}`, { config: write, schema: createProject }, async (request, reply) => {
      reply.code(201)
      return projects.create(request.caller, request.body.name.trim())
    })

    app.get(`${base}${slash}`, { config: read, schema: listProjects }, async (request) => {
      const { limit, after } = request.query
      const page = await projects.list(limit + 1, after)
      const shown = page.slice(0, limit)
      return {
        projects: shown.map(({ id, name, createdAt }) => ({ id, name, created: isoMillis(createdAt.getTime()) })),
        next: page.length > limit ? (shown.at(-1)?.id ?? null) : null,
      }
    })

    app.delete(`${base}/:id${slash}`, { config: write, schema: deleteProject }, async (request, reply) => {
      await projects.remove(request.caller, request.params.id)
      return reply.code(204).send()
    })

    // For the project itself: none of these keys opens more than the key that the call needs.
    const adopt = { config: { requires: 'keys:write', undocumented }, schema: adoptKeys } as const
    app.post(`/api/v3/keys/adopt${slash}`, adopt, async (request) => {
      const { ping_key: pingKey, badge_key: badgeKey, badge_secret: secret } = request.body
      const badgeSecret = secret === undefined ? undefined : Buffer.from(secret, 'hex')
      return { changed: await projects.adoptKeys(request.caller, { pingKey, badgeKey, badgeSecret }) }
    })

    app.post(`${base}/:id/keys/:kind/rotate${slash}`, { config: write, schema: rotateKey }, async (request) => {
      const { id, kind } = request.params
      return { [kind]: await projects.rotateKey(request.caller, id, kind) }
    })
  }
}
