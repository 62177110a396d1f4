import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

type Window = { from_at: Date; to_at: Date }

const lastRecord = (url: string, age: string) =>
  sql(url, 'INSERT INTO acceptance (id, previous_at, until_at) VALUES (1, now(), now() - $1::interval)', [age])
const windows = (url: string) => sql<Window>(url, 'SELECT * FROM blind_windows ORDER BY from_at')

test('a first start is blind to nothing', async (t) => {
  const { databaseUrl } = await build(t)
  assert.deepEqual(await windows(databaseUrl), [])
})

test('a restart of a second counts, to the millisecond, and is found once', async (t) => {
  const databaseUrl = await createDatabase(t)
  await lastRecord(databaseUrl, '1 second')
  const [before] = await sql<{ until_at: Date }>(databaseUrl, 'SELECT until_at FROM acceptance')
  const first = await build(t, { DATABASE_URL: databaseUrl })
  const found = await windows(databaseUrl)
  assert.equal(found.length, 1)
  assert.deepEqual(found[0]?.from_at, before?.until_at)
  assert.ok((found[0]?.to_at.getTime() ?? 0) - (found[0]?.from_at.getTime() ?? 0) >= 1000)
  await build(t, { DATABASE_URL: databaseUrl })
  assert.equal((await windows(databaseUrl)).length, 1, 'a second replica finds no gap')
  assert.equal(first.app.blindTime.windows().length, 1)
})

test('replicas that find the same gap at once write it once, and all know it', async (t) => {
  const { app, databaseUrl } = await build(t)
  const others = await Promise.all([1, 2, 3].map(() => build(t, { DATABASE_URL: databaseUrl })))
  const apps = [app, ...others.map((other) => other.app)]
  await sql(databaseUrl, "UPDATE acceptance SET until_at = now() - interval '1 hour'")
  await Promise.all(apps.map(({ blindTime }) => blindTime.record()))
  const length = ({ from_at, to_at }: Window) => to_at.getTime() - from_at.getTime()
  assert.equal((await windows(databaseUrl)).filter((window) => length(window) > 3_000_000).length, 1)
  await Promise.all(apps.map(({ blindTime }) => blindTime.record()))
  for (const { blindTime } of apps) assert.ok(blindTime.windows().some(({ from, to }) => to - from > 3_000_000))
})
