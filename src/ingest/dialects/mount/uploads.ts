// A request contains many heartbeats, and a key of their project. They are recorded in parts, and the process does
// other work in between.

import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config } from '../../../config/load.ts'
import { AppError } from '../../../core/errors.ts'
import { statusOf } from '../../../http/errors.ts'
import { type ProjectRef, type Sender, uploadKinds } from '../../signal.ts'
import type { ParsedHeartbeat, Result, UploadDialect } from '../dialect.ts'
import { type RouteOfKind, receive, signalOf } from './receive.ts'
import { senderOf } from './sender.ts'

/** The most entries, and characters of entries, in one part. */
const atOnce = 250
const lengthAtOnce = 500_000

export function routeOfUploads(app: FastifyInstance, dialect: UploadDialect, config: Config): RouteOfKind {
  const { heartbeats } = app
  const { clock } = app.database
  const { split, parse, answer } = dialect
  const bodyLimitBytes = config.ingest.pingBodyLimitBytes

  async function handler(request: FastifyRequest): Promise<object> {
    return answer(await record(request, split((request.body as string | undefined) ?? '')))
  }

  async function record(request: FastifyRequest, texts: readonly string[]): Promise<Result[]> {
    const results: Result[] = []
    const project = projectOf(request)
    const sender = senderOf(request)
    await turn()
    while (results.length < texts.length) {
      const entries = nextOf(texts, results.length).map((text) => parse(text, { project, now: clock.now() }))
      results.push(...(await Promise.all(entries.map((entry) => recordOne(request, entry, sender)))))
      await turn()
    }
    return results
  }

  function recordOne(request: FastifyRequest, entry: ParsedHeartbeat, sender: Sender): Result | Promise<Result> {
    if ('refusal' in entry) return entry.refusal
    const { to, content } = entry
    const signal = signalOf(request, content, to, content.body?.subarray(0, bodyLimitBytes) ?? null, sender)
    return new Promise<Result>((resolve, reject) => {
      try {
        receive(heartbeats, signal, resolve)
      } catch (error) {
        if (error instanceof AppError) resolve({ status: statusOf[error.code], text: error.message })
        else reject(error)
      }
    })
  }

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload, done) => app.readBody(request, payload, done))
  // While the database is unavailable a key counts as valid until the replay.
  const unverified = heartbeats.failover !== null
  return {
    handler,
    bodyLimit: dialect.bodyMaxBytes,
    config: { requires: 'heartbeats:write', unverified, readsBody: true },
  }
}

/** While the key cannot be looked up, its hash takes the place of its project. */
function projectOf({ caller, principal: { keyHash } }: FastifyRequest): ProjectRef {
  return keyHash === undefined ? { id: caller.projectId } : { keyHash, kinds: uploadKinds }
}

/** The next texts from this position on, at least one. */
function nextOf(texts: readonly string[], from: number): readonly string[] {
  let [to, length] = [from, 0]
  while (to < texts.length && to < from + atOnce && (to === from || length < lengthAtOnce))
    length += texts[to++]?.length ?? 0
  return texts.slice(from, to)
}
