// A full cache drops some entries, never all: otherwise all tenants would query the database at the same moment.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createProjects } from '../src/accounts/service.ts'
import type { Queryable } from '../src/database/connection/client.ts'
import type { Database } from '../src/database/service.ts'
import { createKnownChecks } from '../src/ingest/failover/known-checks.ts'
import { createBodies } from '../src/ingest/history/bodies.ts'
import { openToBodies } from '../src/ingest/history/bodies-store.ts'
import type { Quota } from '../src/quotas/limits.ts'
import { createQuotas, type QuotaConfig } from '../src/quotas/service.ts'

const size = 10_000
const names = Array.from({ length: size + 1 }, (_, n) => `tenant-${n}`)
const last = names.at(-1) as string
/** The first one had to go. */
const others = names.slice(1, size)

/** A database that answers each statement by `answer`, and a clock that stands still but for `passMs`. */
function createFake(answer: (statement: string, values: readonly unknown[]) => object[]) {
  let ms = 0
  const asked: unknown[] = []
  const query = async (statement: { name: string }, values: readonly unknown[] = []) => {
    asked.push(values[0])
    ms += fake.passMs
    return answer(statement.name, values)
  }
  const fake = { passMs: 0, asked, query: query as Queryable['query'], clock: { monotonic: () => ms } }
  return fake
}

test('the 10,001st key does not make the other keys ask the database again', async () => {
  const fake = createFake((_, [hash]) => [{ projectId: 'p', kind: 'api_key', hash }])
  const evicted: string[] = []
  const projects = createProjects({
    database: fake as unknown as Database,
    writeAudit: async () => 0,
    cancelAlerts: async () => undefined,
    countCache: (operation) => void (operation === 'evict' && evicted.push(operation)),
  })
  for (const name of names.slice(0, size)) await projects.authenticate(name)
  assert.equal(fake.asked.length, size)
  await projects.authenticate(last)
  assert.deepEqual([fake.asked.length, evicted.length], [size + 1, 1])
  for (const name of others) await projects.authenticate(name)
  assert.equal(fake.asked.length, size + 1)
})

test('the 10,001st project does not make the checks of the other projects be counted again', async () => {
  const fake = createFake((statement) => (statement.includes('count') ? [{ count: 5 }] : []))
  const config = new Proxy({}, { get: () => 1_000_000 }) as QuotaConfig
  const quotas = createQuotas({ database: fake as unknown as Database, writeAudit: async () => 0, config })
  let locked = 0
  const admit = (name: string) => quotas.admitCheck(fake, name, async () => void locked++)
  fake.passMs = 1_000_000
  for (const name of names.slice(0, size)) await admit(name)
  fake.passMs = 0
  await admit(last)
  assert.equal(locked, size + 1)
  for (const name of others.slice(-50)) await admit(name)
  assert.equal(locked, size + 1)
})

test('the 10,001st project does not make the quotas of the other projects be read again', async () => {
  const fake = createFake(() => [])
  const quota = (bytes: number) => ({ body_bytes: bytes, body_bytes_per_check: bytes }) as Quota
  let full = 0
  const bodies = createBodies({
    database: { query: fake.query, transaction: async () => assert.fail('there is nothing to remove') },
    quotas: { ofMany: async (_, ids) => new Map(ids.map((id) => [id, quota(1000)])), defaults: quota(1) },
    count() {},
    onFull: () => full++,
  })
  const write = (ids: readonly string[]) =>
    bodies.wrote(
      ids.map((projectId) => ({ checkId: projectId, projectId, total: 500 })),
      new Map(),
      openToBodies,
    )
  const step = () => bodies.step(new AbortController().signal)
  write(names)
  await step()
  write([last])
  await step()
  full = 0
  write(others)
  assert.equal(full, 0)
})

test('a full cache of known checks keeps at least half of them', () => {
  const known = createKnownChecks({ maxEntries: size })
  for (const name of names) known.add(name, 'p')
  assert.ok(names.slice(-size / 2).every((name) => known.projectOf(name) === 'p'))
})

test('no map in the sources empties itself when it is full', () => {
  const root = join(import.meta.dirname, '..')
  const found = globSync('src/**/*.ts', { cwd: root }).filter((path) =>
    /\b(\w+)\.size >=? [^\n]{0,60}\1\.clear\(\)/.test(readFileSync(join(root, path), 'utf8')),
  )
  assert.deepEqual(found, [])
})
