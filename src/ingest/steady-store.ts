// The identity case of the state machine in SQL: success on a check that is up, with a simple schedule, before its
// deadline, without a run, a missed slot, a filter or a signature. It changes no status and makes no flip, and nearly every
// heartbeat is of this kind, so one statement locks, checks, moves the deadline and writes the history, without
// transferring the rows. It leaves all others alone, and core/status.ts decides about them. test/ingest/steady.test.ts
// checks that both are equal.

import { floatArray, intArray, uuidArray } from '../database/arrays.ts'
import type { Queryable } from '../database/connection/client.ts'
import { instant, statement } from '../database/sql.ts'
import { type ClosedToBodies, openToBodies, type Total } from './history/bodies-store.ts'
import type { ByCheck, Received, Sender } from './signal.ts'

// Locked in the order of ids, like every batch, and only as strongly as the update needs: rows that refer to a check
// can be written meanwhile. A statement that waited for a lock checks its conditions again on the new row. The ids are
// given twice: with a join alone the planner reads the whole table as long as it is small. Heartbeats refer to their
// check and their sender by positions in $1 and in $13 to $16, because a batch has few of either. Bodies and keys,
// which few batches have, are a separate part, left out if there are none. A known key fails the whole statement,
// because the key must be unique. With bodies, their bytes are counted on the row of the check, which is written
// anyway; the projects in the last parameter keep none. A row of the result is a project with its count, a check that
// was left alone, or a check with the bytes of its bodies.
const record = (...parts: StatementPart[]) => {
  const hasBodies = parts.includes(bodies)
  const bodiesOnly = (text: string) => (hasBodies ? text : '')
  const bytes = `$${17 + parts.length}`
  const closed = `$${18 + parts.length}`
  return statement(
    ['heartbeats_record_steady', ...parts.map(({ name }) => name)].join('_'),
    { projectId: 'uuid?', count: 'int4', checkId: 'uuid?', total: 'float8?' },
    `WITH steady AS (
     SELECT m.id, b.count, b.last_at${bodiesOnly(`, CASE WHEN m.project_id = ANY(${closed}::uuid[]) THEN 0 ELSE b.bytes END AS bytes`)}
     FROM unnest($1::uuid[], $2::int[], $3::float8[], $4::float8[]${bodiesOnly(`, ${bytes}::int[]`)})
         AS b(check_id, count, first_at, last_at${bodiesOnly(', bytes')})
       JOIN checks m ON m.id = b.check_id
     WHERE m.id = ANY($1::uuid[]) AND m.status = 'up' AND m.kind = 'simple' AND m.missed = 0 AND m.last_start IS NULL AND m.open_runs IS NULL
       AND m.methods = '' AND NOT m.filter_http_body AND m.max_pings_per_minute IS NULL AND m.signing_secret IS NULL
       AND ${instant('b.last_at')} < m.deadline AND m.last_ping <= ${instant('b.first_at')}
     ORDER BY m.id FOR NO KEY UPDATE OF m),
   moved AS (
     UPDATE checks m SET n = m.n + s.count, last_ping = ${instant('s.last_at')},
       deadline = ${instant('s.last_at + (m.timeout_s::float8 + m.grace_s) * 1000')}, last_duration_ms = NULL, failures = 0, successes = 0${bodiesOnly(', body_bytes = m.body_bytes + s.bytes')}
     FROM steady s WHERE m.id = s.id
     RETURNING m.id, m.project_id, s.count, m.n - s.count AS before_n${bodiesOnly(', s.bytes, m.body_bytes')}),
   recorded AS (
     INSERT INTO heartbeats (check_id, received_at, id, n, kind, exit_status, rid, scheme, method, remote_addr, ua, body_size)
     SELECT moved.id, ${instant('h.at')}, h.id, moved.before_n + h.nth, 'success', h.exit_status, h.rid, sender.scheme, sender.method,
       sender.remote_addr, sender.ua, coalesce(h.body_size, 0)
     FROM unnest($5::int[], $6::int[], $7::float8[], $8::uuid[], $9::int[], $10::uuid[], $11::int[], $12::int[])
         AS h(place, nth, at, id, exit_status, rid, body_size, sender)
       JOIN moved ON moved.id = ($1::uuid[])[h.place]
       JOIN unnest($13::text[], $14::text[], $15::text[], $16::text[]) WITH ORDINALITY AS sender(scheme, method, remote_addr, ua, nr)
         ON sender.nr = h.sender)${parts.map(({ insert }, i) => `,\n   ${insert(`$${17 + i}`, closed)}`).join('')}
   SELECT project_id AS "projectId", sum(count)::int AS count, NULL::uuid AS "checkId", NULL::float8 AS total FROM moved GROUP BY project_id
   UNION ALL SELECT NULL, 0, b.id, NULL::float8 FROM unnest($1::uuid[]) AS b(id) WHERE NOT EXISTS (SELECT FROM moved WHERE moved.id = b.id)${bodiesOnly(
     `
   UNION ALL SELECT project_id, 0, id, body_bytes::float8 FROM moved WHERE bytes > 0`,
   )}`,
  )
}

type StatementPart = {
  name: string
  insert: (parameter: string, closed: string) => string
}

const bodies: StatementPart = {
  name: 'bodies',
  insert: (parameter, closed) => `kept AS (
     INSERT INTO heartbeat_bodies (check_id, received_at, id, body)
     SELECT moved.id, ${instant('h.at')}, h.id, h.body
     FROM unnest($5::int[], $7::float8[], $8::uuid[], ${parameter}::bytea[]) AS h(place, at, id, body)
       JOIN moved ON moved.id = ($1::uuid[])[h.place]
     WHERE h.body IS NOT NULL AND moved.project_id <> ALL(${closed}::uuid[]))`,
}

const keys: StatementPart = {
  name: 'keys',
  insert: (parameter) => `named AS (
     INSERT INTO heartbeat_keys (check_id, key)
     SELECT moved.id, h.key FROM unnest($5::int[], ${parameter}::text[]) AS h(place, key) JOIN moved ON moved.id = ($1::uuid[])[h.place]
     WHERE h.key IS NOT NULL)`,
}

/** By the parts that it has, each as a bit. */
const parts = [bodies, keys]
const statements = [record(), record(bodies), record(keys), record(...parts)]

/**
 * `byCheck` holds successes only, those of each check in the order of their receipt. Returns how many were recorded
 * for each project, the body bytes of checks that kept some, and the checks for which nothing was recorded.
 * Rejects, with nothing done, if one has a key that its check knows.
 */
export async function recordSteady(
  on: Queryable,
  byCheck: ByCheck,
  closed: ClosedToBodies = openToBodies,
): Promise<{ counts: { projectId: string; count: number }[]; totals: Total[]; left: ReadonlySet<string> }> {
  const groups = [...byCheck.values()]
  const heartbeats = groups.flat()
  const column = <T>(pick: (received: Received) => T): T[] => heartbeats.map(pick)
  const senders = sendersOf(heartbeats)
  const kept = [...byCheck].map(([checkId, group]) =>
    closed.checks.has(checkId) ? group.map(() => null) : group.map(({ body }) => body),
  )
  const columns = [unlessEmpty(kept.flat()), unlessEmpty(column(({ dedupeKey }) => dedupeKey))]
  const bytesOf = (group: (Buffer | null)[]) => group.reduce((sum, body) => sum + (body?.length ?? 0), 0)
  const matching = statements[
    columns.reduce((bits, present, i) => bits | (present === null ? 0 : 1 << i), 0)
  ] as (typeof statements)[number]
  const rows = await on.query(matching, [
    uuidArray([...byCheck.keys()]),
    intArray(groups.map((group) => group.length)),
    floatArray(groups.map((group) => (group[0] as Received).at)),
    floatArray(groups.map((group) => (group.at(-1) as Received).at)),
    intArray(groups.flatMap((group, index) => group.map(() => index + 1))),
    intArray(groups.flatMap((group) => group.map((_, index) => index + 1))),
    floatArray(column(({ at }) => at)),
    uuidArray(column(({ id }) => id)),
    unlessEmpty(column(({ exitStatus }) => exitStatus)),
    unlessEmpty(column(({ rid }) => rid)),
    unlessEmpty(column(({ body }) => body?.length ?? null)),
    intArray(senders.places),
    senders.distinct.map(({ scheme }) => scheme),
    senders.distinct.map(({ method }) => method),
    senders.distinct.map(({ remoteAddr }) => remoteAddr),
    senders.distinct.map(({ ua }) => ua),
    ...columns.filter((present) => present !== null),
    ...(columns[0] === null ? [] : [intArray(kept.map(bytesOf)), closed.projects]),
  ])
  return {
    counts: rows.flatMap(({ projectId, count }) => (projectId === null || count === 0 ? [] : [{ projectId, count }])),
    totals: rows.flatMap(({ projectId, checkId, total }) =>
      projectId === null || checkId === null || total === null ? [] : [{ projectId, checkId, total }],
    ),
    left: new Set(rows.flatMap(({ projectId, checkId }) => (projectId === null && checkId !== null ? [checkId] : []))),
  }
}

/** `unnest` pads missing values with nulls, so an empty array can be sent instead. */
function unlessEmpty<T>(column: (T | null)[]): (T | null)[] | null {
  return column.some((value) => value !== null) ? column : null
}

/** The distinct senders, and for each heartbeat the position of its sender among them, from 1. */
function sendersOf(heartbeats: readonly Received[]): { distinct: Sender[]; places: number[] } {
  const known = new Map<string, number>()
  const distinct: Sender[] = []
  const places = heartbeats.map(({ sender }) => {
    const { scheme, method, remoteAddr, ua } = sender
    const name = `${scheme}\n${method}\n${remoteAddr}\n${ua}`
    const place = known.get(name)
    if (place !== undefined) return place
    known.set(name, distinct.push(sender))
    return distinct.length
  })
  return { distinct, places }
}
