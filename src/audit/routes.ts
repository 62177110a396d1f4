import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AppError } from '../core/errors.ts'
import { shareSchemas } from '../http/schemas/api-schema.ts'
import { parseInstant } from '../kit/instant.ts'
import { auditSchemas, listAudit } from './schema.ts'
import type { AuditTrail } from './service.ts'

/** The audit log: of its own project for a read-write key, of all projects for the operator. */
export const auditRoutes: FastifyPluginAsyncTypebox<{ trail: Pick<AuditTrail, 'list'> }> = async (app, { trail }) => {
  shareSchemas(app, auditSchemas)

  for (const slash of ['', '/']) {
    const config = { requires: 'audit:read', undocumented: slash === '' } as const
    app.get(`/api/v3/audit${slash}`, { config, schema: listAudit }, async (request) => {
      const { projectId } = request.caller
      const { limit, project, from, to, ...filter } = request.query
      if (projectId !== '' && project !== undefined && project !== projectId)
        throw new AppError('forbidden', 'project is not the project of the key', { field: 'project' })
      const own = projectId === '' ? project : projectId
      const range = { from: instant('from', from), to: instant('to', to) }
      if (range.from !== undefined && range.to !== undefined && range.from >= range.to)
        throw new AppError('bad_request', 'from must be before to', { field: 'from' })
      return trail.list({ ...filter, projectId: own, ...range }, limit)
    })
  }
}

function instant(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const at = parseInstant(text)
  if (at === null) throw new AppError('bad_request', `${field} must be an ISO 8601 instant with a zone`, { field })
  return at
}
