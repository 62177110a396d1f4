import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Uuid } from '../../http/schema.ts'
import { bothForms } from '../../http/slashes.ts'
import type { Quarantine } from './quarantine.ts'

const Query = Type.Object(
  { limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }), after: Type.Optional(Uuid) },
  { additionalProperties: false },
)
const Retry = Type.Object(
  { ids: Type.Optional(Type.Array(Uuid, { minItems: 1, maxItems: 1000, uniqueItems: true })) },
  { additionalProperties: false },
)
const Params = Type.Object({ id: Uuid })

/** Heartbeats that were acknowledged and cannot be written, for the operator. */
export const quarantineRoutes: FastifyPluginAsyncTypebox<{
  quarantine: Pick<Quarantine, 'list' | 'retry' | 'discard'>
}> = async (app, { quarantine }) => {
  const access = 'admin' as const

  for (const { url, form } of bothForms('/api/v3/quarantine')) {
    const config = { access, ...form }
    app.get(url, { config, schema: { querystring: Query } }, async (request) =>
      quarantine.list(request.query.limit, request.query.after ?? null),
    )
  }
  for (const { url, form } of bothForms('/api/v3/quarantine/retry')) {
    const config = { access, ...form }
    app.post(url, { config, schema: { body: Retry } }, async (request) =>
      quarantine.retry(request.caller, request.body.ids),
    )
  }
  for (const { url, form } of bothForms('/api/v3/quarantine/:id')) {
    const config = { access, ...form }
    app.delete(url, { config, schema: { params: Params } }, async (request, reply) => {
      await quarantine.discard(request.caller, request.params.id)
      return reply.code(204).send()
    })
  }
}
