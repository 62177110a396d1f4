import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { AppError } from '../core/errors.ts'

type Done = (error: Error | null, body?: Buffer | null) => void

/**
 * Reads any body whatever its content type and keeps its first `limitBytes`: a job's output that is too long is cut,
 * never refused, because the heartbeat counts. The (encapsulated) instance's bodies become Buffers, or null if empty.
 * All bodies that have not arrived as a whole hold at most `receivingMaxBytes`; a body beyond that is answered 503.
 */
export function keepBodies(app: FastifyInstance, limitBytes: number, receivingMaxBytes: number): void {
  const collect = createCollector(limitBytes, receivingMaxBytes)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => collect(payload, done))
  // Fastify reads no body of a GET, but `curl -X GET -d` sends one.
  app.addHook('preValidation', (request, _reply, done) => {
    const { method, headers } = request
    const hasBody = Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
    if (!hasBody || (method !== 'GET' && method !== 'HEAD')) return done()
    collect(request.raw, (error, body) => {
      request.body = body
      done(error ?? undefined)
    })
  })
}

function createCollector(limitBytes: number, receivingMaxBytes: number) {
  let receiving = 0

  return function collect(payload: Readable, done: Done): void {
    const chunks: Buffer[] = []
    let kept = 0

    function end(error: Error | null): void {
      payload.off('data', take).off('end', finish).off('error', end).off('close', abandon)
      receiving -= kept
      if (error) done(error)
      else done(null, kept === 0 ? null : Buffer.concat(chunks, kept))
    }
    function take(chunk: Buffer): void {
      if (kept >= limitBytes) return
      const part = chunk.length > limitBytes - kept ? chunk.subarray(0, limitBytes - kept) : chunk
      chunks.push(part)
      kept += part.length
      receiving += part.length
      if (receiving > receivingMaxBytes)
        end(new AppError('unavailable', 'too many heartbeats, try again shortly', { retryAfterS: 1 }))
    }
    const finish = () => end(null)
    const abandon = () => end(new AppError('bad_request', 'the body did not arrive as a whole'))
    payload.on('data', take).on('end', finish).on('error', end).on('close', abandon)
  }
}
