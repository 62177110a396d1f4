import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { shareSchemas } from '../http/schemas/api-schema.ts'
import { getProject, getQuota, quotaSchemas, updateProject } from './schema.ts'
import type { Quotas } from './service.ts'

/** The limits of a project and their use: every key of the project may read them, the operator may set them. */
export const quotaRoutes: FastifyPluginAsyncTypebox<{ quotas: Pick<Quotas, 'document' | 'project' | 'set'> }> = async (
  app,
  { quotas },
) => {
  shareSchemas(app, quotaSchemas)

  for (const slash of ['', '/']) {
    const undocumented = slash === ''
    const one = `/api/v3/projects/:id${slash}`
    const read = { requires: 'projects:read', undocumented } as const
    const write = { requires: 'projects:write', undocumented } as const

    app.get(
      `/api/v3/quota${slash}`,
      { config: { requires: 'quota:read', undocumented }, schema: getQuota },
      async (request) => {
        return { quota: await quotas.document(request.caller.projectId) }
      },
    )

    app.get(one, { config: read, schema: getProject }, async (request) => {
      return quotas.project(request.params.id)
    })

    app.patch(one, { config: write, schema: updateProject }, async (request) => {
      return quotas.set(request.caller, request.params.id, request.body.quota)
    })
  }
}
