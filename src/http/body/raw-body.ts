import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { AppError } from '../../core/errors.ts'
import { networkOf } from '../../kit/network.ts'
import { type BodyRoom, createBodyRoom } from './body-room.ts'

type BufferDone = (error: Error | null, body?: Buffer | null) => void

/**
 * Reads any body whatever its content type and keeps its first `limitBytes`: a job's output that is too long is cut,
 * never refused, because the heartbeat counts. The bodies of the (encapsulated) instance become Buffers, or null if
 * empty. Incomplete bodies may use `receivingMaxBytes` together; one that is dropped for another is answered 503.
 */
export function keepBodies(app: FastifyInstance, limitBytes: number, receivingMaxBytes: number): void {
  const collect = createCollector(limitBytes, createBodyRoom(receivingMaxBytes))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload, done) => collect(payload, () => request.clientAddress, done))
  // Fastify reads no body of a GET, but `curl -X GET -d` sends one.
  app.addHook('preValidation', (request, _reply, done) => {
    const { method, headers } = request
    const hasBody = Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
    if (!hasBody || (method !== 'GET' && method !== 'HEAD')) return done()
    collect(
      request.raw,
      () => request.clientAddress,
      (error, body) => {
        request.body = body
        done(error ?? undefined)
      },
    )
  })
}

/** Reads and discards bodies, whatever their content type. */
export function ignoreBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume()
    done(null, null)
  })
}

function createCollector(limitBytes: number, room: BodyRoom) {
  return function collect(payload: Readable, address: () => string, done: BufferDone): void {
    const chunks: Buffer[] = []
    let kept = 0

    function end(error: Error | null): void {
      payload.off('data', take).off('end', finish).off('error', end).off('close', abandon)
      hold.release()
      if (error) done(error)
      else done(null, kept === 0 ? null : Buffer.concat(chunks, kept))
    }
    function take(chunk: Buffer): void {
      if (kept >= limitBytes) return
      const part = chunk.length > limitBytes - kept ? chunk.subarray(0, limitBytes - kept) : chunk
      chunks.push(part)
      kept += part.length
      hold.add(part.length)
    }
    const finish = () => end(null)
    const abandon = () => end(new AppError('bad_request', 'the body did not arrive as a whole'))
    // The check is not known yet; and one IPv6 address means that the sender has its whole /64.
    const hold = room.begin(() => networkOf(address(), 32, 64), giveWay)
    function giveWay(): void {
      end(new AppError('unavailable', 'too many heartbeats, try again shortly', { retryAfterS: 1 }))
    }
    payload.on('data', take).on('end', finish).on('error', end).on('close', abandon)
  }
}
