import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Checks } from '../service.ts'
import { removeSigningSecret, rotateSigningSecret } from './signing-api-schema.ts'

/** Flatline's own calls: the secret of one check. */
export const signingRoutes: FastifyPluginAsyncTypebox<{ signing: Checks['signing'] }> = async (app, { signing }) => {
  for (const slash of ['', '/']) {
    const config = { requires: 'checks:write', undocumented: slash === '' } as const
    const url = `/api/v3/checks/:id/signing-secret`

    app.post(`${url}/rotate${slash}`, { config, schema: rotateSigningSecret }, async (request) =>
      signing.rotate(request.caller, request.params.id, request.query.overlap),
    )

    app.delete(`${url}${slash}`, { config, schema: removeSigningSecret }, async (request) => {
      await signing.remove(request.caller, request.params.id)
      return { uuid: request.params.id }
    })
  }
}
