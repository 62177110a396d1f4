// Compares the answers that a client got with the contents of the database.

import { sql } from '../postgres.ts'
import type { Tally } from './client.ts'

export type Verdict = {
  /** Run ids of heartbeats that were acknowledged and are not there. */
  missing: string[]
  /** Of those that are there more than once, acknowledged or not. */
  doubled: string[]
  /** Of those that are there otherwise than they were sent: check, body, name; and what nobody sent. */
  altered: string[]
  /** Checks whose numbers do not run from 1 to their count. */
  gaps: string[]
}

type Row = { rid: string; times: string; check: string; body: string | null; isNamed: boolean }

/** A verdict for each tally. The database holds nothing but what their clients sent, so that a number that is missing counts for all. */
export async function compare(url: string, tallies: readonly Tally[]): Promise<Verdict[]> {
  const rows = await sql<Row>(
    url,
    `SELECT h.rid, count(*) AS times, min(h.check_id::text) AS "check", min(convert_from(b.body, 'UTF8')) AS body,
       bool_and(k.key IS NOT NULL) AS "isNamed"
     FROM heartbeats h LEFT JOIN heartbeat_bodies b USING (check_id, received_at, id)
       LEFT JOIN heartbeat_keys k ON k.check_id = h.check_id AND k.key = h.rid::text
     GROUP BY h.rid`,
  )
  const gaps = await sql<{ id: string }>(
    url,
    `SELECT m.id FROM checks m LEFT JOIN heartbeats h ON h.check_id = m.id GROUP BY m.id
     HAVING m.n <> count(h.id) OR m.n <> count(DISTINCT h.n) OR m.n <> coalesce(max(h.n), 0)`,
  )
  const stored = new Map(rows.map((row) => [row.rid, row]))
  const verdicts = tallies.map((tally) => judge(tally, stored))
  const strangers = rows.flatMap(({ rid }) => (tallies.some(({ sent }) => sent.has(rid)) ? [] : [rid]))
  for (const verdict of verdicts) {
    verdict.gaps = gaps.map(({ id }) => id)
    verdict.altered.push(...strangers)
  }
  return verdicts
}

function judge({ sent, acknowledged }: Tally, stored: ReadonlyMap<string, Row>): Verdict {
  const verdict: Verdict = { missing: [], doubled: [], altered: [], gaps: [] }
  for (const [rid, { check, body, isUpload }] of sent) {
    const row = stored.get(rid)
    if (row === undefined) {
      if (acknowledged.has(rid)) verdict.missing.push(rid)
      continue
    }
    if (row.times !== '1') verdict.doubled.push(rid)
    if (row.check !== check || row.body !== body || row.isNamed !== isUpload) verdict.altered.push(rid)
  }
  return verdict
}
