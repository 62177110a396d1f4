// Migrations and prisma/schema.prisma must describe the same tables: the migrations are applied to one database, the script that Prisma's
// own engine makes of the schema to another, and their catalogs are compared. What Prisma cannot express is listed here.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { keyKinds } from '../../src/accounts/store.ts'
import {
  deliveryKinds,
  deliveryStatuses,
  subjectKinds,
  suppressionCodes,
} from '../../src/notifications/queue/delivery-columns.ts'
import { createDatabase, sql } from '../postgres.ts'

const statuses = ['new', 'up', 'down', 'paused']

const byHand = {
  indexes: [
    'deliveries_channel_due_idx ON deliveries (channel_id, next_attempt_at) WHERE',
    'deliveries_channel_error_idx ON deliveries (channel_id, created_at) WHERE',
    'deliveries_channel_sent_idx ON deliveries (channel_id, finished_at) WHERE',
    'deliveries_group_idx ON deliveries (group_id) WHERE',
    'deliveries_suppressed_idx ON deliveries (next_attempt_at) WHERE',
    'deliveries_order_idx ON deliveries (subject_id, channel_id, flip_seq) WHERE',
    'flips_outbox_order_idx ON flips (check_id, seq) WHERE',
    'checks_look_at_idx ON checks (look_at) WHERE',
    'checks_parent_id_idx ON checks (parent_id) WHERE',
    'checks_unsettled_to_idx ON checks (unsettled_to) WHERE',
  ],
  partitioned: ['heartbeat_bodies', 'heartbeats'],
  options: [{ table: 'checks', options: ['fillfactor=70'] }],
  words: {
    checks_kind_check: ['simple', 'cron', 'oncalendar'],
    checks_status_check: statuses,
    deliveries_kind_check: deliveryKinds,
    deliveries_status_check: deliveryStatuses,
    deliveries_subject_kind_check: subjectKinds,
    deliveries_suppressed_check: ['suppressed'],
    deliveries_suppression_check: suppressionCodes,
    flips_from_check: statuses,
    flips_to_check: statuses,
    project_keys_kind_check: keyKinds,
    retired_addresses_kind_check: ['check', 'check_badge', 'project_badge', 'ping_key', 'push_token'],
    service_alerts_level_check: ['INFO', 'WARNING', 'CRITICAL', 'RESOLVED'],
  } as Record<string, readonly string[]>,
}

const ours = "n.nspname = 'public' AND c.relname NOT LIKE '\\_prisma%' AND NOT c.relispartition"

const columns = `SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
    pg_get_expr(d.adbin, d.adrelid) AS "default"
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relkind IN ('r', 'p') AND ${ours} ORDER BY 1, 2`

const keys = `SELECT c.relname AS "table", k.conname AS name, pg_get_constraintdef(k.oid) AS definition
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE k.contype IN ('p', 'u', 'f') AND ${ours} ORDER BY 1, 2`

const indexes = `SELECT c.relname AS name, regexp_replace(pg_get_indexdef(c.oid), '.* INDEX (.*?) ON (ONLY )?public\\.(\\S+) USING btree ', '\\1 ON \\3 ') AS definition
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('i', 'I') AND ${ours} ORDER BY 1`

test('migrations and schema.prisma agree in columns, types, nullability, defaults, keys and indexes', async (t) => {
  const migrated = await createDatabase(t)
  const described = await createDatabase(t, { empty: true })
  const script = await promisify(execFile)(process.execPath, ['scripts/prisma-diff.mjs'], {
    env: { ...process.env, DATABASE_URL: described },
  })
  await sql(described, script.stdout)

  assert.deepEqual(await sql(migrated, columns), await sql(described, columns))
  assert.deepEqual(await sql(migrated, keys), await sql(described, keys))
  const made = await sql<{ name: string; definition: string }>(migrated, indexes)
  const handMade = made.filter(({ definition }) => byHand.indexes.some((start) => definition.startsWith(start)))
  assert.equal(handMade.length, byHand.indexes.length, 'every index made by hand is there')
  assert.deepEqual(
    made.filter((index) => !handMade.includes(index)),
    await sql(described, indexes),
  )
})

test('the migrations contain exactly the listed parts that Prisma cannot express', async (t) => {
  const url = await createDatabase(t)
  const partitioned = await sql<{ name: string }>(
    url,
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p' AND ${ours} ORDER BY 1`,
  )
  assert.deepEqual(
    partitioned.map(({ name }) => name),
    byHand.partitioned,
  )
  const options = await sql(
    url,
    `SELECT c.relname AS "table", c.reloptions AS options FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.reloptions IS NOT NULL AND ${ours} ORDER BY 1`,
  )
  assert.deepEqual(options, byHand.options)
  const constraints = await sql<{ name: string; definition: string }>(
    url,
    "SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace ORDER BY 1",
  )
  const words = constraints.map(({ name, definition }) => [
    name,
    [...definition.matchAll(/'(\w+)'/g)].map(([, word]) => word).sort(),
  ])
  assert.deepEqual(
    words,
    Object.entries(byHand.words).map(([name, allowed]) => [name, [...allowed].sort()]),
  )
})
