// Generates the Prisma client into src/database/generated, unless the schema and Prisma are those that it was made from: npm runs this also
// for `npx flatline` in a checkout, and a service or a test that starts at that moment must not find half a client.
// The CLI insists on a schema engine binary, which it would download, although `generate` never runs one: any existing file satisfies it,
// so that an install needs only npm.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const resolve = createRequire(import.meta.url).resolve
const fileOf = (path) => fileURLToPath(new URL(path, import.meta.url))
const madeFrom = fileOf('../src/database/generated/made-from')

const sources = [fileOf('../prisma/schema.prisma'), resolve('prisma/package.json')]
const hash = createHash('sha256')
for (const source of sources) hash.update(readFileSync(source))
const digest = hash.digest('hex')

if (read(madeFrom) !== digest) {
  const { status } = spawnSync(process.execPath, [resolve('prisma/build/index.js'), 'generate', '--no-hints'], {
    cwd: fileOf('..'),
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      PRISMA_SCHEMA_ENGINE_BINARY: fileURLToPath(import.meta.url),
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1',
    },
  })
  if (status === 0) writeFileSync(madeFrom, digest)
  process.exitCode = status ?? 1
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
