// The calls between replicas.

import type { FastifyPluginAsync } from 'fastify'
import type { BlindTime } from '../blind-time/service.ts'
import { AppError } from '../core/errors.ts'
import { neverShed } from '../http/admission/pressure.ts'
import { bothForms } from '../http/slashes.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { replicaHeader } from './peers.ts'

export type ReplicaRoutesOptions = {
  replicaId: string
  blindTime: Pick<BlindTime, 'reportFor'>
  /** Notes that a replica spools, whether or not its records can be written. */
  noteSpooling: (replicaId: string) => void
  /** Writes records of a spool into the database; rejects if it cannot. */
  record: (records: Buffer) => Promise<void>
  bodyLimitBytes: number
}

type Params = { id: string }
type ReportQuery = { heard_through?: string; spools?: string }

export const replicaRoutes: FastifyPluginAsync<ReplicaRoutesOptions> = async (app, options) => {
  const { replicaId, blindTime, noteSpooling, record, bodyLimitBytes } = options
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer', bodyLimit: bodyLimitBytes },
    (_request, body, done) => done(null, body),
  )

  const config = { requires: 'handovers:write', undocumented: true, always: true, quiet: true, ...neverShed } as const
  app.addHook('onRequest', async (_request, reply) => {
    reply.header(replicaHeader, replicaId)
  })
  for (const { url, form } of bothForms('/replicas/:id/heartbeats')) {
    app.post<{ Params: Params; Querystring: ReportQuery; Body: Buffer | undefined }>(
      url,
      { config: { ...config, statsId: form.statsId } },
      async (request, reply) => {
        const { id } = request.params
        const { heard_through: heardThrough = '', spools } = request.query
        if (!/^\d{1,15}$/.test(heardThrough))
          throw new AppError('bad_request', 'heard_through is not in epoch milliseconds', { field: 'heard_through' })
        if (spools === 'true') noteSpooling(id)
        try {
          if (request.body !== undefined && request.body.length > 0) await record(request.body)
          await blindTime.reportFor({ id, heardThrough: Number(heardThrough), spools: spools === 'true' })
          return reply.code(204).send()
        } catch (error) {
          // 202: noted, but not written, because this replica cannot reach the database either.
          if (isDatabaseAway(error)) return reply.code(202).send()
          throw error
        }
      },
    )
  }

  for (const { url, form } of bothForms('/replicas/:id')) {
    app.get<{ Params: Params }>(
      url,
      {
        config: {
          requires: 'probe',
          undocumented: true,
          statsId: form.statsId,
          always: true,
          quiet: true,
          ...neverShed,
        },
      },
      async (request, reply) => {
        if (request.params.id !== replicaId) throw new AppError('not_found', 'another process answers here')
        return reply.code(204).send()
      },
    )
  }
}
