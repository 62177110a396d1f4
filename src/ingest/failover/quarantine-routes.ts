import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { bothForms } from '../../http/slashes.ts'
import type { Quarantine } from './quarantine.ts'
import { discardQuarantined, listQuarantine, retryQuarantine } from './quarantine-api-schema.ts'

/** Heartbeats that were acknowledged and cannot be written, for the operator. */
export const quarantineRoutes: FastifyPluginAsyncTypebox<{
  quarantine: Pick<Quarantine, 'list' | 'retry' | 'discard'>
}> = async (app, { quarantine }) => {
  // The description has the form with the slash.
  const configOf = (requires: 'quarantine:read' | 'quarantine:write', url: string, { statsId }: { statsId: string }) =>
    ({ requires, statsId, undocumented: !url.endsWith('/') }) as const

  for (const { url, form } of bothForms('/api/v3/quarantine')) {
    const config = configOf('quarantine:read', url, form)
    app.get(url, { config, schema: listQuarantine }, async (request) =>
      quarantine.list(request.query.limit, request.query.after ?? null),
    )
  }
  for (const { url, form } of bothForms('/api/v3/quarantine/retry')) {
    const config = configOf('quarantine:write', url, form)
    app.post(url, { config, schema: retryQuarantine }, async (request) =>
      quarantine.retry(request.caller, request.body.ids),
    )
  }
  for (const { url, form } of bothForms('/api/v3/quarantine/:id')) {
    const config = configOf('quarantine:write', url, form)
    app.delete(url, { config, schema: discardQuarantined }, async (request, reply) => {
      await quarantine.discard(request.caller, request.params.id)
      return reply.code(204).send()
    })
  }
}
