import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { AppError } from '../../core/errors.ts'
import { neverShed } from '../../http/admission/pressure.ts'
import { isUuid } from '../../kit/identifier.ts'
import type { Heartbeats } from '../service.ts'
import { type Outcome, type Sender, type Signal, uploadKinds } from '../signal.ts'
import { uploadHeartbeats } from './bulk-api-schema.ts'
import { type BulkEntry, parseEntry, splitEntries } from './bulk-entries.ts'
import { senderOf } from './sender.ts'

export type BulkRoutesOptions = {
  heartbeats: Pick<Heartbeats, 'receive'>
  /** Whether heartbeats are accepted while their key cannot be looked up. */
  early: boolean
  bodyLimitBytes: number
  now: () => number
}

type Rejected = { index: number; error: string }
type BulkAnswer = { accepted: number; duplicates: number; rejected: Rejected[]; unavailable: number }

const bulkPath = '/api/v3/heartbeats'
const uploadMaxBytes = 16 * 2 ** 20
const entriesMax = 10_000
/** Entries, and characters of entries, between two pauses in which the process can do other work. */
const chunk = 250
const chunkLength = 500_000

const refusals = {
  unknown: 'check not found',
  ambiguous: 'several checks have this slug',
  limited: 'rate limit exceeded',
  unavailable: 'could not be stored, try again shortly',
}

/**
 * Uploads of devices that were offline, and of clients with many heartbeats. 200 also where some or all entries are
 * rejected.
 */
export const bulkRoutes: FastifyPluginAsync<BulkRoutesOptions> = async (app, options) => {
  const { heartbeats, early, now } = options
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload, done) => app.readBody(request, payload, done))

  const config = {
    requires: 'heartbeats:write',
    unverified: early,
    early,
    quiet: true,
    readsBody: true,
    ...neverShed,
  } as const
  for (const url of [`${bulkPath}/`, bulkPath]) {
    const route = {
      bodyLimit: uploadMaxBytes,
      config: { ...config, undocumented: url === bulkPath },
      schema: uploadHeartbeats,
    }
    app.post<{ Body: string | undefined }>(url, route, async (request) => {
      const texts = splitEntries(request.body ?? '', entriesMax)
      if (texts === null) throw new AppError('bad_request', 'the body is not a JSON array', { field: 'body' })
      if (texts.length === 0) throw new AppError('bad_request', 'the body has no heartbeats', { field: 'body' })
      if (texts.length > entriesMax)
        throw new AppError('payload_too_large', `at most ${entriesMax} heartbeats at once`, { field: 'body' })
      const { unavailable, ...result } = await record(request, texts)
      if (unavailable === texts.length) throw new AppError('unavailable', refusals.unavailable, { retryAfterS: 1 })
      return result
    })
  }

  async function record(request: FastifyRequest, texts: readonly string[]): Promise<BulkAnswer> {
    const result: BulkAnswer = { accepted: 0, duplicates: 0, rejected: [], unavailable: 0 }
    const sender = senderOf(request)
    await turn()
    for (let from = 0; from < texts.length; ) {
      const some = chunkAt(texts, from)
      const start = from
      const entries = some.map((text, i) => ({ index: start + i, parsed: parseEntry(text, now()) }))
      from += some.length
      const whole = entries.flatMap(({ index, parsed }) => ('error' in parsed ? [] : [{ index, entry: parsed }]))
      for (const { index, parsed } of entries)
        if ('error' in parsed) result.rejected.push({ index, error: parsed.error })
      await Promise.all(whole.map(({ index, entry }) => recordOne(signalOf(request, sender, entry), index, result)))
      await turn()
    }
    result.rejected.sort((a, b) => a.index - b.index)
    return result
  }

  function recordOne(signal: Signal, index: number, result: BulkAnswer): Promise<void> {
    const reject = (reason: keyof typeof refusals) => {
      if (reason === 'unavailable') result.unavailable++
      result.rejected.push({ index, error: refusals[reason] })
    }
    return new Promise<void>((resolve) => {
      const taken = heartbeats.receive(signal, (error, outcome) => {
        const refused = error || outcome === undefined ? 'unavailable' : refusalOf(outcome)
        if (refused) reject(refused)
        else if (outcome === 'duplicate') result.duplicates++
        else result.accepted++
        resolve()
      })
      if (!taken) resolve(reject('unavailable'))
    }).catch((error) => {
      if (!(error instanceof AppError)) throw error
      result.rejected.push({ index, error: error.message })
    })
  }

  function signalOf(request: FastifyRequest, sender: Sender, entry: BulkEntry): Signal {
    const { check, at, body, id, kind, exitStatus, rid } = entry
    const { caller, principal } = request
    const { keyHash } = principal
    const project = keyHash === undefined ? { id: caller.projectId } : { keyHash, kinds: uploadKinds }
    return {
      target: isUuid(check)
        ? { by: 'id', checkId: check, within: project }
        : { by: 'slug', project, slug: check, create: false },
      ...{ kind, exitStatus, rid, sentAt: at, dedupeKey: id, mail: null, sender, requestId: request.id },
      body: body === null ? null : Buffer.from(body).subarray(0, options.bodyLimitBytes),
    }
  }
}

/** The next entries, at least one. */
function chunkAt(texts: readonly string[], from: number): readonly string[] {
  let [to, length] = [from, 0]
  while (to < texts.length && to < from + chunk && (to === from || length < chunkLength))
    length += texts[to++]?.length ?? 0
  return texts.slice(from, to)
}

function refusalOf(outcome: Outcome): keyof typeof refusals | null {
  if (outcome === 'unknown' || outcome === 'ambiguous') return outcome
  return typeof outcome === 'object' && ('limitedForMs' in outcome || 'quota' in outcome) ? 'limited' : null
}
