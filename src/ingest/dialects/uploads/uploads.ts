// Flatline's own upload of many heartbeats, for devices that were offline and clients with many heartbeats. Its errors
// are those of the API. It answers 200 even if some or all entries are rejected, and 503 if none could be stored.

import { AppError } from '../../../core/errors.ts'
import { isUuid } from '../../../kit/identifier.ts'
import type { ProjectRef } from '../../signal.ts'
import { signatureTexts } from '../../signing/verification.ts'
import type { ParsedHeartbeat, Result, UploadDialect } from '../dialect.ts'
import { uploadHeartbeats } from './api-schema.ts'
import { parseEntry, splitEntries } from './entries.ts'

const path = '/api/v3/heartbeats'
const entriesMax = 10_000
const notStored = 'could not be stored, try again shortly'

export const uploads: UploadDialect = {
  kind: 'uploads',
  name: 'Uploads',
  source: 'api.md',
  methods: ['POST'],
  routes: [`${path}/`, path].map((url) => ({
    path: url,
    label: url,
    schema: uploadHeartbeats,
    isAlias: url === path,
  })),
  bodyMaxBytes: 16 * 2 ** 20,
  split,
  parse,
  answer,
}

function split(body: string): string[] {
  const texts = splitEntries(body, entriesMax)
  if (texts === null) throw new AppError('bad_request', 'the body is not a JSON array', { field: 'body' })
  if (texts.length === 0) throw new AppError('bad_request', 'the body has no heartbeats', { field: 'body' })
  if (texts.length > entriesMax)
    throw new AppError('payload_too_large', `at most ${entriesMax} heartbeats at once`, { field: 'body' })
  return texts
}

function parse(text: string, { project, now }: { project: ProjectRef; now: number }): ParsedHeartbeat {
  const entry = parseEntry(text, now)
  if ('error' in entry) return { refusal: { status: 400, text: entry.error } }
  const { check, kind, at, exitStatus, rid, body, id } = entry
  return {
    to: isUuid(check)
      ? { by: 'id', checkId: check, within: project }
      : { by: 'slug', project, slug: check, create: false },
    content: { kind, exitStatus, rid, sentAt: at, dedupeKey: id, body: body === null ? null : Buffer.from(body) },
  }
}

function answer(results: readonly Result[]): object {
  if (results.every(isUnavailable)) throw new AppError('unavailable', notStored, { retryAfterS: 1 })
  const rejected = results.flatMap((result, index) => {
    const error = problemOf(result)
    return error === null ? [] : [{ index, error }]
  })
  const duplicates = results.filter((result) => result === 'duplicate').length
  return { accepted: results.length - rejected.length - duplicates, duplicates, rejected }
}

/** Null for a recorded heartbeat. */
function problemOf(result: Result): string | null {
  if (result === 'unknown') return 'check not found'
  if (result === 'ambiguous') return 'several checks have this slug'
  if (isUnavailable(result)) return notStored
  if (typeof result !== 'object' || 'recorded' in result) return null
  if ('unsigned' in result) return signatureTexts[result.unsigned]
  return 'status' in result ? result.text : 'rate limit exceeded'
}

function isUnavailable(result: Result): boolean {
  return typeof result === 'object' && 'status' in result && result.status === 503
}
