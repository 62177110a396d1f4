// The id of a request connects its log lines, its flip, the alert and the caller's own records.

import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import fp from 'fastify-plugin'

const run = randomBytes(6).toString('hex')
let requests = 0

/** The caller's own id, or its trace id, or one that is unique over processes and restarts. */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  return wellFormed(headers['x-request-id']) ?? wellFormed(headers['x-correlation-id']) ?? traceIdOf(headers) ?? next()
}

/** W3C Trace Context, section 3.2: `00-<trace-id>-<parent-id>-<flags>`; no id may be all zeros. */
export function traceIdOf(headers: IncomingHttpHeaders): string | undefined {
  const [, traceId, parentId] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(String(headers.traceparent)) ?? []
  return traceId === undefined || /^0+$/.test(traceId) || /^0+$/.test(parentId ?? '') ? undefined : traceId
}

/** A random id for each request would cost as much as routing it. */
function next(): string {
  requests++
  return `${run}-${requests}`
}

function wellFormed(id: string | string[] | undefined): string | undefined {
  return typeof id === 'string' && /^[\w-]{1,64}$/.test(id) ? id : undefined
}

/** Adds the id to every answer. */
export const requestIdPlugin = fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      reply.header('x-request-id', request.id)
      done()
    })
  },
  { name: 'http-request-id' },
)
