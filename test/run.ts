// `npm test` after lint and types: boots one PostgreSQL for all tests, migrates a template database, and runs every test/**/*.test.ts, or
// the files that are named, each in a process of its own. Each test that needs a database clones the template (test/helper.ts).

import { globSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../src/database/embedded/server.ts'
import { migrate, readMigrations } from '../src/database/migrate.ts'
import { runFile } from './runner/file.ts'
import { limitsOf } from './runner/limits.ts'
import { measureMachine, slownessNow } from './runner/machine.ts'
import { createReport } from './runner/report.ts'

// Two lanes take the files that start whole services and wait for most of their time; two take the files that compute.
const concurrency = 4
const waitingFolders = /^test\/(deployment|faults|scenarios)\//
const root = new URL('..', import.meta.url).pathname
const dataDir = await mkdtemp(join(tmpdir(), 'flatline-test-'))
// If root runs the tests, the PostgreSQL that a test starts runs as another user.
await chmod(dataDir, 0o711)
// Each lane may run three replicas with their pools.
const maxConnections = 200
const log = { info() {}, warn() {}, error: console.error }
const postgres = await startEmbeddedPostgres({ dataDir, maxConnections, log })
const url = await createTemplate()
// What several files share and is dear to make, such as the container image.
const scratch = join(dataDir, 'shared')
await mkdir(scratch)

const machine = measureMachine(scratch)
const report = createReport(process.stdout)
const [options = [], named = []] = [true, false].map((is) =>
  process.argv.slice(2).filter((arg) => arg.startsWith('-') === is),
)
const files = globSync('test/**/*.test.ts', { cwd: root }).sort()
const waiting =
  named.length > 0 ? named : [true, false].flatMap((wait) => files.filter((f) => waitingFolders.test(f) === wait))
const stop = new AbortController()
process.on('SIGINT', () => stop.abort()).on('SIGTERM', () => stop.abort())

let started = 0
await Promise.all(
  Array.from({ length: concurrency }, (_, lane) =>
    runFrom(lane % 2 === 0 ? () => waiting.shift() : () => waiting.pop()),
  ),
)
const passed = await report.end(machine)
await postgres.stop()
await rm(dataDir, { recursive: true, force: true })
process.exit(passed && !stop.signal.aborted ? 0 : 1)

/** Until no file is left. One lane takes them from the front, the next from the back, so that they meet. */
async function runFrom(next: () => string | undefined): Promise<void> {
  for (let file = next(); file !== undefined && !stop.signal.aborted; file = next()) {
    const dir = join(dataDir, 'files', String(started++).padStart(4, '0'))
    await mkdir(dir, { recursive: true })
    const slowness = slownessNow(machine)
    const given = {
      TEST_DATABASE_URL: url,
      TEST_SCRATCH: scratch,
      TEST_SLOWNESS: String(slowness),
      NODE_ENV: 'test',
      // Hundreds of processes load the same sources: compiled once, each starts with half the processor time.
      NODE_COMPILE_CACHE: join(scratch, 'compiled'),
    }
    const limits = limitsOf(file, slowness)
    const start = { file, root, dir, env: { ...process.env, ...given }, args: options, limits }
    report.add(file, await runFile(start, stop.signal))
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function createTemplate(): Promise<string> {
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
  return url
}
