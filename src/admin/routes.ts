import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { AuditEntry } from '../audit/store.ts'
import { configSchema } from '../config/schema.ts'
import { AppError } from '../core/errors.ts'
import { bothForms } from '../http/slashes.ts'
import { getLogLevel, setLogLevel, shutdownService } from './schema.ts'

export type AdminRoutesOptions = {
  shutdown: () => void
  record: (entry: AuditEntry) => Promise<void>
  /** The logger whose level is set; the loggers of requests are its children. */
  log: { level: string }
}

/** For the operator alone, in every phase and under overload. */
export const adminRoutes: FastifyPluginAsyncTypebox<AdminRoutesOptions> = async (app, { shutdown, record, log }) => {
  const config = { requires: 'service:operate', always: true } as const

  for (const { url, form } of bothForms('/admin/shutdown')) {
    app.post(url, { config: { ...config, ...form }, schema: shutdownService }, async (request, reply) => {
      const { actor, requestId, address } = request.caller
      await record({ actor, requestId, address, action: 'admin.shutdown', target: 'service' })
      // Answers first: this is the last answer on the connection.
      reply.raw.once('finish', shutdown)
      return reply.code(202).send({ status: 'shutting down' })
    })
  }

  for (const { url, form } of bothForms('/admin/log-level')) {
    app.get(url, { config: { ...config, ...form }, schema: getLogLevel }, async () => ({ level: log.level }))

    app.put(url, { config: { ...config, ...form }, schema: setLogLevel }, async (request) => {
      const { actor, requestId, address } = request.caller
      const before = log.level
      const after = parseLevel(request.body.level)
      log.level = after
      await record({ actor, requestId, address, action: 'admin.log_level', target: 'log', detail: { before, after } })
      return { level: after }
    })
  }
}

/** The values of LOG_LEVEL. */
function parseLevel(text: string): string {
  const { enum: levels, synonyms } = configSchema.properties.log.properties.level as unknown as {
    enum: string[]
    synonyms: Record<string, string>
  }
  const word = text.toLowerCase()
  const level = synonyms[word] ?? word
  if (levels.includes(level)) return level
  throw new AppError('bad_request', `level must be one of ${levels.join(', ')}`, { field: 'level' })
}
