import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

type Done = (error: Error | null, body?: Buffer | null) => void

/**
 * Reads any body whatever its content type and keeps its first `limitBytes`: a job's output that is too long is cut, never
 * refused, because the heartbeat counts. The (encapsulated) instance's bodies become Buffers, or null if empty.
 */
export function keepBodies(app: FastifyInstance, limitBytes: number): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => collect(payload, limitBytes, done))
  // Fastify reads no body of a GET, but `curl -X GET -d` sends one.
  app.addHook('preValidation', (request, _reply, done) => {
    const { method, headers } = request
    const hasBody = Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
    if (!hasBody || (method !== 'GET' && method !== 'HEAD')) return done()
    collect(request.raw, limitBytes, (error, body) => {
      request.body = body
      done(error ?? undefined)
    })
  })
}

function collect(payload: Readable, limitBytes: number, done: Done): void {
  const chunks: Buffer[] = []
  let kept = 0
  payload.on('data', (chunk: Buffer) => {
    if (kept >= limitBytes) return
    chunks.push(chunk.length > limitBytes - kept ? chunk.subarray(0, limitBytes - kept) : chunk)
    kept += Math.min(chunk.length, limitBytes - kept)
  })
  payload.once('end', () => done(null, kept === 0 ? null : Buffer.concat(chunks, kept)))
  payload.once('error', (error) => done(error))
}
