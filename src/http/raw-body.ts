import type { FastifyInstance } from 'fastify'

/**
 * Reads any body whatever its content type and keeps its first `limitBytes`: a job's output that is too long is cut, never
 * refused, because the heartbeat counts. The (encapsulated) instance's bodies become Buffers, or null if empty.
 */
export function keepBodies(app: FastifyInstance, limitBytes: number): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => {
    const chunks: Buffer[] = []
    let kept = 0
    payload.on('data', (chunk: Buffer) => {
      if (kept >= limitBytes) return
      chunks.push(chunk.length > limitBytes - kept ? chunk.subarray(0, limitBytes - kept) : chunk)
      kept += Math.min(chunk.length, limitBytes - kept)
    })
    payload.once('end', () => done(null, kept === 0 ? null : Buffer.concat(chunks, kept)))
    payload.once('error', done)
  })
  // A content type that is no media type at all would be answered 415.
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.headers['content-type'] !== undefined) request.headers['content-type'] = 'application/octet-stream'
    done()
  })
}
