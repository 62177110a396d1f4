import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { call, eventually } from '../../helper.ts'
import { patience } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { needsTool } from '../../tools.ts'
import { spawnService, startService } from '../service.ts'
import { assertKept, blue, createChecks, type Fleet, startFleet, startLoad, summary } from './fleet.ts'
import { makeVersion } from './version.ts'

const skip = needsTool('haproxy')
const timeout = patience(400_000)
/** Longer than the two seconds in which the balancer finds a replica down. */
const env = { DRAIN_MS: '2500' }

const expansion = {
  '29990101000000_owner': "ALTER TABLE checks ADD COLUMN owner VARCHAR(100) NOT NULL DEFAULT 'nobody';",
  '29990102000000_owner_index':
    '-- flatline: without transaction\nCREATE INDEX CONCURRENTLY checks_owner_idx ON checks (owner);',
}

test('a version that expands the schema is rolled out while the old one serves, and rolled back', {
  skip,
  timeout,
}, async (t) => {
  const databaseUrl = await createDatabase(t)
  const next = await makeVersion(t, '99.0.0', expansion)
  const fleet = await startFleet(t, { ...env, DATABASE_URL: databaseUrl })
  const [old] = await versions(fleet)
  const checks = await createChecks(fleet, 20)
  const client = await startLoad(t, {
    socketPath: fleet.balancer.entrances.strict,
    checks,
    pingsPerSecond: 60,
    storiesPerSecond: 3,
    slowEvery: 25,
  })

  // A backup reads every table when the new version wants to change one: neither may make the heartbeats wait.
  const backup = new pg.Client({ connectionString: databaseUrl })
  await backup.connect()
  await backup.query('BEGIN; SELECT count(*) FROM checks')
  const first = fleet.replace('a', next)
  const blocked = () =>
    fleet
      .service('a')
      .lines()
      .some(({ event }) => event === 'migration.blocked')
  await eventually('the migration to wait for the backup', blocked)
  await backup.query('COMMIT')
  await backup.end()
  await first
  assert.deepEqual(await versions(fleet), ['99.0.0', old, old])
  await fleet.replace('b', next)
  await fleet.replace('c', next)
  assert.deepEqual(await versions(fleet), ['99.0.0', '99.0.0', '99.0.0'])

  for (const name of blue) await fleet.replace(name)
  assert.deepEqual(await versions(fleet), [old, old, old])
  const report = await client.stop()
  t.diagnostic(`forward and back: ${summary(report)}`)
  assert.deepEqual(report.failures, [])
  await assertKept(databaseUrl, [report])
  const owners = await sql<{ owner: string }>(databaseUrl, 'SELECT DISTINCT owner FROM checks')
  assert.deepEqual(owners, [{ owner: 'nobody' }])
})

test('a version whose migration fails exits with the reason, and does not disturb the running one', async (t) => {
  const databaseUrl = await createDatabase(t)
  const env = { DATABASE_URL: databaseUrl }
  const broken = await makeVersion(t, '99.0.0', {
    '29990101_expand': 'ALTER TABLE checks ADD COLUMN owner TEXT; SELECT nonsense();',
  })
  const service = await startService(t, { env })
  const refused = await spawnService(t, env, { root: broken })
  assert.equal(await refused.exited, 1)
  const fatal = refused.lines().filter(({ level }) => level === 'fatal')
  assert.deepEqual(
    fatal.map(({ msg }) => msg),
    ['cannot start: migration 29990101_expand failed: function nonsense() does not exist'],
  )
  assert.equal((await call(service.url, 'GET', '/health/ready')).status, 200)
  assert.equal((await call(service.url, 'POST', '/api/v3/checks/', {})).status, 201)
  assert.equal(await service.stop(), 0)
  const again = await startService(t, { env })
  assert.equal(await again.stop(), 0)
  const columns = await sql(
    databaseUrl,
    "SELECT 1 FROM pg_attribute WHERE attrelid = 'checks'::regclass AND attname = 'owner'",
  )
  assert.deepEqual(columns, [])
})

test('after a contract migration an incompatible version says so instead of starting', async (t) => {
  const databaseUrl = await createDatabase(t)
  const env = { DATABASE_URL: databaseUrl }
  const contract = await makeVersion(t, '99.0.0', {
    '29990101_contract': "UPDATE schema_compatibility SET min_compatible = '29990101_contract';",
  })
  const newer = await startService(t, { env, root: contract })
  const refused = await spawnService(t, env)
  assert.equal(await refused.exited, 1)
  assert.match(
    refused.output(),
    /cannot start: this database needs a newer Flatline: it requires migration 29990101_contract/,
  )
  assert.equal((await call(newer.url, 'GET', '/health/ready')).status, 200)
  assert.equal(await newer.stop(), 0)
})

async function versions({ service }: Fleet): Promise<string[]> {
  return Promise.all(
    blue.map(async (name) => (await call(service(name).url, 'GET', '/health')).json().version as string),
  )
}
