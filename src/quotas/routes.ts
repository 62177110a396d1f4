import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Uuid } from '../http/schema.ts'
import type { quotaNames } from './limits.ts'
import type { Quotas } from './service.ts'

const closed = { additionalProperties: false }
const Count = Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])
const Share = Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()])
const Change = Type.Object(
  {
    quota: Type.Object(
      {
        checks: Type.Optional(Count),
        channels: Type.Optional(Count),
        new_checks_per_hour: Type.Optional(Count),
        body_bytes: Type.Optional(Count),
        body_bytes_per_check: Type.Optional(Count),
        spool_share: Type.Optional(Share),
      } satisfies Record<(typeof quotaNames)[number], unknown>,
      { ...closed, minProperties: 1 },
    ),
  },
  closed,
)
const Id = Type.Object({ id: Uuid })

/** What a project may have and what it has: every key of the project may read it, the operator may set it. */
export const quotaRoutes: FastifyPluginAsyncTypebox<{ quotas: Pick<Quotas, 'document' | 'project' | 'set'> }> = async (
  app,
  { quotas },
) => {
  for (const slash of ['', '/']) {
    const one = `/api/v3/projects/:id${slash}`

    app.get(`/api/v3/quota${slash}`, { config: { access: 'read' } }, async (request) => {
      return { quota: await quotas.document(request.caller.projectId) }
    })

    app.get(one, { config: { access: 'admin' }, schema: { params: Id } }, async (request) => {
      return quotas.project(request.params.id)
    })

    app.patch(one, { config: { access: 'admin' }, schema: { params: Id, body: Change } }, async (request) => {
      return quotas.set(request.caller, request.params.id, request.body.quota)
    })
  }
}
