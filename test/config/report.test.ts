import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { settings } from '../../src/config/schema.ts'
import { shippedOverrides } from '../../src/config/work.ts'
import { inherited } from '../tools.ts'

const root = new URL('../..', import.meta.url).pathname
const run = (env: Record<string, string>, ...args: string[]) =>
  promisify(execFile)(process.execPath, ['bin/flatline.js', 'config', ...args], {
    cwd: root,
    env: { ...inherited, ...env },
  })

const env = {
  DATABASE_URL: 'postgres://flatline:pl4nt3d@db.example.com/flatline?sslmode=require',
  ENCRYPTION_KEY: '5e'.repeat(32),
  ADMIN_TOKEN: 'pl4nt3d-admin-token-pl4nt3d-admin-token',
  REDIS_URL: 'redis://:pl4nt3d@cache:6379',
  DEPLOYMENT_ENV: 'production',
  SHUTDOWN_TIMEOUT_MS: '45s',
}

test('flatline config prints every setting with its value and its origin, and no secret', async () => {
  const { stdout } = await run(env)
  assert.doesNotMatch(stdout, /pl4nt3d|5e5e/)
  const lineOf = (path: string) => stdout.split('\n').find((line) => line.startsWith(`${path} `))
  assert.match(lineOf('server.shutdownTimeoutMs') ?? '', / 45000 +SHUTDOWN_TIMEOUT_MS$/)
  assert.match(lineOf('server.host') ?? '', / 0\.0\.0\.0 +config\/production\.yaml$/)
  assert.match(lineOf('server.port') ?? '', / 8000 +default$/)
  assert.match(lineOf('database.url') ?? '', / \*\*\* +DATABASE_URL$/)
  assert.match(lineOf('security.metricsToken') ?? '', / - +default$/)

  const asJson = JSON.parse((await run(env, '--json')).stdout) as { path: string; value: unknown; origin: string }[]
  assert.deepEqual(
    asJson.map(({ path }) => path),
    settings.map(({ path }) => path),
  )
  assert.deepEqual(
    asJson.find(({ path }) => path === 'breakers.overrides'),
    { path: 'breakers.overrides', value: shippedOverrides, origin: 'default' },
  )
})

test('flatline config reports every mistake and exits 1', async () => {
  const failed = await run({ PORT: 'x', LOG_LEVEL: 'loud' }, '--json').then(
    () => assert.fail('exits 1'),
    (error: { code: number; stderr: string }) => error,
  )
  assert.equal(failed.code, 1)
  assert.match(failed.stderr, /PORT: .*\n.*LOG_LEVEL: /)
})
