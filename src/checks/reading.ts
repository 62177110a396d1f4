// Reads checks. Nothing here changes one.

import type { BlindTime } from '../blind-time/service.ts'
import { rulesOf, tagsOf } from '../core/check.ts'
import { AppError } from '../core/errors.ts'
import { type Reading, readingAt } from '../core/status.ts'
import type { Queryable } from '../database/connection/client.ts'
import type { DatabaseSession } from '../database/service.ts'
import { isUuid } from '../kit/identifier.ts'
import { isoSeconds } from '../kit/instant.ts'
import { type CheckDocument, checkDocument, type View } from './document.ts'
import { uniqueKey } from './fields/columns.ts'
import type { Check } from './fields/fields.ts'
import * as store from './listing-store.ts'
import type { CheckView } from './view.ts'

/** `tags` are whole words, and a check must have all of them. */
export type CheckFilter = { tags: readonly string[]; slug: string | null }

/** The status of a check, and what lists, badges and metrics show beside it. */
export type CheckReading = Pick<Reading, 'status' | 'started'> &
  Pick<Check, 'id' | 'state' | 'deadline'> & { name: string; slug: string; tags: string[]; tagText: string }

export type FlipDocument = { timestamp: string; up: 0 | 1 }

/** Making this many documents blocks the event loop only for a moment. */
const pageSize = 200
const fillMax = 1000

export type CheckReader = ReturnType<typeof createCheckReader>

export function createCheckReader(options: {
  database: DatabaseSession
  blindTime: Pick<BlindTime, 'windows' | 'evaluatedUntil'>
  siteUrl: () => string
}) {
  const { database, blindTime, siteUrl } = options

  /**
   * A check of the caller's project. Another project's check is answered like one that does not exist, by the same
   * statement: Healthchecks' 403, or a difference in time, would reveal which uuids exist.
   */
  async function find(projectId: string, id: string, on: Queryable = database): Promise<store.CheckWithChannels> {
    const check = isUuid(id) ? await store.selectOwnCheck(on, projectId, id) : null
    if (check === null) throw notFound()
    return check
  }

  async function idOf(projectId: string, key: string): Promise<string | null> {
    const id = await store.selectIdByUniqueKey(database, projectId, key)
    if (id !== null) return id
    let filled = 0
    for (let more = true; more; ) {
      const count = await database.transaction((tx) => store.fillUniqueKeys(tx, projectId, fillMax))
      filled += count
      more = count === fillMax
    }
    return filled === 0 ? null : store.selectIdByUniqueKey(database, projectId, key)
  }

  /** By uuid, or by unique key. */
  async function findByEither(projectId: string, id: string): Promise<store.CheckWithChannels> {
    return find(projectId, isUniqueKey(id) ? ((await idOf(projectId, id)) ?? '') : id)
  }

  /**
   * If the check of a position is deleted, the position comes before all others of its millisecond, so that none is
   * left out.
   */
  async function positionAt(projectId: string, cursor: string): Promise<store.Position> {
    const { createdAt, key } = parseCursor(cursor)
    return { createdAt, id: (await idOf(projectId, key)) ?? '00000000-0000-0000-0000-000000000000' }
  }

  function document(check: store.CheckWithChannels, view: View): CheckDocument {
    const now = blindTime.evaluatedUntil(database.clock.now())
    return checkDocument(check, { siteUrl: siteUrl(), now, windows: blindTime.windows() }, view)
  }

  function readingOf({ id, settings, state, deadline }: store.CheckWithChannels): CheckReading {
    const now = blindTime.evaluatedUntil(database.clock.now())
    const { status, started } = readingAt(rulesOf(settings), state, now, blindTime.windows())
    const { name, slug, tags: tagText } = settings
    return { id, name, slug, tags: tagsOf(settings), tagText, status, started, state, deadline }
  }

  function viewOf(check: store.CheckWithChannels): CheckView {
    const { id, settings, state } = check
    const now = blindTime.evaluatedUntil(database.clock.now())
    const { schedule, graceS } = rulesOf(settings)
    const { status, started, nextPing } = readingAt(rulesOf(settings), state, now, blindTime.windows())
    const { name, slug, tags, desc, severity } = settings
    return {
      ...{ id, name, slug, tags, desc, severity, schedule, graceS, status, started, nextPing },
      lastPing: state.lastPing,
      document: (shown) => ({ ...document(check, { version: 3, readOnly: false }), status: shown }),
    }
  }

  /** In order of creation, page by page. */
  async function* pages(
    projectId: string,
    { tags, slug }: CheckFilter,
    after: store.Position | null = null,
    whole = true,
  ): AsyncGenerator<store.CheckWithChannels[], void, undefined> {
    if (tags.includes('')) return
    let position = after
    for (;;) {
      const filter = { slug, tags, after: position }
      const page = await store.selectPage(database, projectId, filter, pageSize, { withChannels: whole })
      const tagged = tags.length === 0 ? page : page.filter(({ settings }) => hasAll(tagsOf(settings), tags))
      if (tagged.length > 0) yield tagged
      const last = page.at(-1)
      if (last === undefined || page.length < pageSize) return
      position = { createdAt: last.createdAt, id: last.id }
    }
  }

  return {
    find,

    /** The checks whose uuid, slug or name is one of these words. */
    async named(projectId: string, words: ReadonlySet<string>): Promise<store.CheckWithChannels[]> {
      if (words.size === 0) return []
      const found: store.CheckWithChannels[] = []
      for await (const page of pages(projectId, { tags: [], slug: null }, null, false))
        found.push(
          ...page.filter(({ id, settings: { slug, name } }) => [id, slug, name].some((word) => words.has(word))),
        )
      return found
    },

    /** The id of the project's check with this unique key; null if there is none. */
    idOfKey: idOf,
    document,
    pages,
    uniqueKey,
    now: () => database.clock.now(),

    /** Which of these ids are of this project. */
    owned: (projectId: string, ids: readonly string[]): Promise<Set<string>> =>
      store.selectOwned(database, projectId, ids),

    exists: async (id: string): Promise<boolean> => store.selectExists(database, id),

    /** The states of all checks of a project, page by page. */
    async *readings(projectId: string): AsyncGenerator<CheckReading[], void, undefined> {
      for await (const page of pages(projectId, { tags: [], slug: null }, null, false)) yield page.map(readingOf)
    },

    reading: async (projectId: string, id: string): Promise<CheckReading> => readingOf(await find(projectId, id)),

    /** By uuid, or by unique key. */
    async get(projectId: string, id: string, view: View): Promise<CheckDocument> {
      return document(await findByEither(projectId, id), view)
    },

    /** In their order; null for a check that its project does not have. */
    async views(checks: readonly { projectId: string; id: string }[]): Promise<(CheckView | null)[]> {
      const found = await store.selectChecks(database, [...new Set(checks.map(({ id }) => id))])
      const byId = new Map(found.map((check) => [check.id, check]))
      return checks.map(({ projectId, id }) => {
        const check = byId.get(id)
        return check?.projectId === projectId ? viewOf(check) : null
      })
    },

    async *list(projectId: string, filter: CheckFilter, view: View): AsyncGenerator<CheckDocument[], void, undefined> {
      for await (const page of pages(projectId, filter)) yield page.map((check) => document(check, view))
    },

    /** At most `limit`; `next` is the `after` of the following page, null if this is the last. */
    async listPage(
      projectId: string,
      filter: CheckFilter,
      view: View,
      { limit, after }: { limit: number; after: string | null },
    ): Promise<{ checks: CheckDocument[]; next: string | null }> {
      const found: store.CheckWithChannels[] = []
      for await (const page of pages(projectId, filter, after === null ? null : await positionAt(projectId, after))) {
        found.push(...page)
        if (found.length > limit) break
      }
      const shown = found.slice(0, limit)
      const last = shown.at(-1)
      const next = found.length > limit && last ? cursor(last) : null
      return { checks: shown.map((check) => document(check, view)), next }
    },

    /** Newest first, page by page; `id` is a uuid or a unique key. */
    async flips(
      projectId: string,
      id: string,
      range: { from: number | null; to: number | null },
    ): Promise<AsyncGenerator<FlipDocument[], void, undefined>> {
      return flipPages((await findByEither(projectId, id)).id, range)
    },
  }

  async function* flipPages(
    checkId: string,
    range: { from: number | null; to: number | null },
  ): AsyncGenerator<FlipDocument[], void, undefined> {
    let before: number | null = null
    for (;;) {
      const page: store.FlipRow[] = await store.selectFlips(database, checkId, { ...range, before }, pageSize)
      if (page.length > 0) yield page.map(({ at, to }) => ({ timestamp: isoSeconds(at), up: to === 'up' ? 1 : 0 }))
      if (page.length < pageSize) return
      before = page.at(-1)?.seq ?? null
    }
  }
}

const notFound = () => new AppError('not_found', 'not found')

const isUniqueKey = (id: string) => /^[0-9a-f]{40}$/.test(id)

const hasAll = (own: readonly string[], wanted: readonly string[]) => wanted.every((tag) => own.includes(tag))

/** Contains no uuid, because a read-only key gets it too. */
function cursor({ createdAt, id }: store.Position): string {
  return Buffer.from(`${createdAt}.${uniqueKey(id)}`).toString('base64url')
}

function parseCursor(text: string): { createdAt: number; key: string } {
  const [, createdAt, key] = /^(\d{1,15})\.([0-9a-f]{40})$/.exec(Buffer.from(text, 'base64url').toString()) ?? []
  if (createdAt === undefined || key === undefined)
    throw new AppError('bad_request', 'after is not the next of an earlier answer', { field: 'after' })
  return { createdAt: Number(createdAt), key }
}
