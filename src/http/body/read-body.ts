// Reads bodies for the few routes that need one, and for no others. The memory of all bodies together is limited, from
// the first byte until the answer is sent, because the objects that are parsed from a body live as long. body-room.ts decides which
// body is dropped.

import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AppError } from '../../core/errors.ts'
import { networkOf } from '../../kit/network.ts'
import { createBodyRoom, type Hold } from './body-room.ts'

type TextDone = (error: Error | null, text?: string) => void

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the body of a request is read; true if the route has a schema for it. */
    readsBody?: boolean
  }
  interface FastifyRequest {
    /** An additional limit for one body: lower while the caller is unknown. */
    bodyMaxBytes: number
  }
  interface FastifyInstance {
    /**
     * The body as text, without a byte order mark. Fails if it is too large, is not UTF-8, or if too much is being read
     * already.
     */
    readBody: (request: FastifyRequest, payload: Readable, done: TextDone) => void
  }
}

/** `maxBytes` limits all bodies together, `unknownCallersMaxBytes` those of callers that are still unknown. */
export type ReadBodyOptions = { maxBytes: number; unknownCallersMaxBytes: number }

type HolderAccount = { isUnknownCaller: boolean; holds: Hold[]; giveWay: () => void; length: number }

export const readBodyPlugin = fp<ReadBodyOptions>(
  async (app, { maxBytes, unknownCallersMaxBytes }) => {
    const accounts = new WeakMap<FastifyRequest, HolderAccount>()
    const room = createBodyRoom(maxBytes)
    const unknownCallers = createBodyRoom(unknownCallersMaxBytes)
    app.decorateRequest('bodyMaxBytes', Number.POSITIVE_INFINITY)
    app.domainMetrics.observe('request_body_bytes', () => [{ value: room.held }])

    app.addHook('onRoute', (route) => {
      if (route.config?.requires === 'ingest') return
      route.config = { readsBody: route.schema?.body !== undefined, ...route.config }
      route.preParsing = (request, reply, _payload, done) => {
        if (!request.routeOptions.config.readsBody) return done()
        const isUnknownCaller = Number.isFinite(request.bodyMaxBytes)
        const account: HolderAccount = { isUnknownCaller, holds: [], giveWay: () => undefined, length: 0 }
        const holder = () => holderOf(request, isUnknownCaller)
        const giveWay = () => account.giveWay()
        account.holds = (isUnknownCaller ? [unknownCallers, room] : [room]).map((one) => one.begin(holder, giveWay))
        accounts.set(request, account)
        const release = () => {
          for (const hold of account.holds) hold.release()
        }
        reply.raw.once('finish', release).once('close', release)
        done()
      }
    })

    app.decorate('readBody', (request: FastifyRequest, payload: Readable, done: TextDone) => {
      const account = accounts.get(request) as HolderAccount
      const limit = Math.min(request.routeOptions.bodyLimit, request.bodyMaxBytes)
      if (Number(request.headers['content-length'] ?? 0) > limit) return done(tooLarge(limit, account))
      const chunks: Buffer[] = []

      function end(error: Error | null): void {
        payload.off('data', take).off('end', finish).off('error', end)
        account.giveWay = () => undefined
        if (error === null) decode(Buffer.concat(chunks, account.length), done)
        else {
          for (const hold of account.holds) hold.release()
          done(error)
        }
      }
      function take(chunk: Buffer): void {
        chunks.push(chunk)
        account.length += chunk.length
        if (account.length > limit) end(tooLarge(limit, account))
        else for (const hold of account.holds) hold.add(chunk.length)
      }
      const finish = () => end(account.holds.every((hold) => hold.arrived()) ? null : tooMuch())
      account.giveWay = () => end(tooMuch())
      payload.on('data', take).on('end', finish).on('error', end)
    })
  },
  { name: 'http-read-body', dependencies: ['metrics'] },
)

/** Whose bodies count together: those of a project, of the operator, or, for an unknown sender, of its network. */
function holderOf({ caller, clientAddress }: FastifyRequest, isUnknownCaller: boolean): string {
  const network = networkOf(clientAddress, 32, 64)
  if (isUnknownCaller || !caller) return `network ${network}`
  return caller.projectId || `${caller.actor} ${network}`
}

function tooLarge(limit: number, { isUnknownCaller }: HolderAccount): AppError {
  const hint = isUnknownCaller ? '; a larger one needs its key in the header X-Api-Key' : ''
  return new AppError('payload_too_large', `the body is larger than ${limit} bytes${hint}`, { field: 'body' })
}

function tooMuch(): AppError {
  return new AppError('unavailable', 'too many large requests at once, try again shortly', { retryAfterS: 1 })
}

function decode(body: Buffer, done: TextDone): void {
  let text: string | undefined
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    text = undefined
  }
  if (text === undefined) done(new AppError('bad_request', 'the body is not valid UTF-8', { field: 'body' }))
  else done(null, text)
}
