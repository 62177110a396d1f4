// `npm test` after lint and types: boots one PostgreSQL for all tests, migrates a template database, and runs node:test on every
// test/**/*.test.ts, or on the files that are named. Each test that needs a database clones the template (test/helper.ts).

import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../src/database/embedded.ts'
import { migrate, readMigrations } from '../src/database/migrate.ts'

const root = new URL('..', import.meta.url).pathname
const dataDir = await mkdtemp(join(tmpdir(), 'flatline-test-'))
const quiet = { info() {}, warn() {}, error: console.error }
const postgres = await startEmbeddedPostgres({ dataDir, log: quiet })

const { host, port, user, database } = postgres.connection
const url = `postgres://${user}@localhost:${port}/${database}?host=${encodeURIComponent(host)}`
const admin = new pg.Client({ connectionString: url })
await admin.connect()
await admin.query('CREATE DATABASE template_flatline')
const template = new pg.Client({ connectionString: url.replace(`/${database}?`, '/template_flatline?') })
await template.connect()
await migrate(template, readMigrations())
await template.end()
await admin.end()

const named = process.argv.slice(2)
const files = named.length > 0 ? named : globSync('test/**/*.test.ts', { cwd: root }).sort()
const args = ['--test', '--test-concurrency=3', '--test-timeout=180000', '--test-reporter=spec', ...files]
// What several files share and is dear to make, such as the container image.
const scratch = join(dataDir, 'shared')
await mkdir(scratch)
const child = spawn(process.execPath, args, {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, TEST_DATABASE_URL: url, TEST_SCRATCH: scratch, NODE_ENV: 'test' },
})
const forward = (signal: NodeJS.Signals) => child.kill(signal)
process.on('SIGINT', forward).on('SIGTERM', forward)
child.on('exit', async (code) => {
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
  if (code !== 0) console.error(`tests failed in ${relative(process.cwd(), root) || '.'}`)
  process.exit(code ?? 1)
})
