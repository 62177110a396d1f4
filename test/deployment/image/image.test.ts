// The container image, built by the project's own Dockerfile and run against a real PostgreSQL.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFaultProxy } from '../../fault-proxy.ts'
import { call, eventually, keys } from '../../helper.ts'
import { patience } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { needsContainers } from '../containers.ts'
import { freePort } from '../free-port.ts'
import { inventory, megabytes } from '../inventory.ts'
import { buildTools, builtImage, imageName } from './image.ts'
import { type Container, loadImage, runTools } from './podman.ts'

const skip = needsContainers(...buildTools, ...runTools)
const timeout = patience(600_000)

const startBudgetMs = 3000

test('the container image', { skip, timeout }, async (t) => {
  const archive = await builtImage()
  const { podman, start, once } = await loadImage(t, archive)

  await t.test('the image declares its user, port, volume, health check and stop signal', async () => {
    const [image] = JSON.parse(await podman('image', 'inspect', imageName))
    const { User, Cmd, Entrypoint, StopSignal, WorkingDir, ExposedPorts, Env, Labels } = image.Config
    assert.deepEqual(
      { User, Cmd, Entrypoint: Entrypoint ?? [], StopSignal, WorkingDir, ports: Object.keys(ExposedPorts) },
      {
        User: '1000:1000',
        Cmd: ['node', 'dist/server.js'],
        Entrypoint: [],
        StopSignal: 'SIGTERM',
        WorkingDir: '/app',
        ports: ['8000/tcp'],
      },
    )
    assert.deepEqual(image.HealthCheck ?? image.Healthcheck, {
      Test: ['CMD', 'node', 'dist/cli.js', 'healthcheck'],
      Interval: 30e9,
      Timeout: 3e9,
      StartPeriod: 40e9,
      Retries: 3,
    })
    for (const one of ['NODE_ENV=production', 'DEPLOYMENT_ENV=docker', 'DATA_DIR=/data'])
      assert.ok(Env.includes(one), one)
    const named = Object.keys(Labels).filter((label) => label.startsWith('org.opencontainers.image.'))
    assert.deepEqual(named.map((label) => label.slice('org.opencontainers.image.'.length)).sort(), [
      'base.name',
      'created',
      'description',
      'documentation',
      'licenses',
      'revision',
      'source',
      'title',
      'version',
    ])
  })

  await t.test('the image contains exactly what runs, under 120 MB without Node.js', async (t) => {
    const path = (await podman('image', 'mount', imageName)).trim()
    const { parts, total, packages, bill, licences, odd, setuid, writable } = await inventory(path)
    t.diagnostic(`runtime tree without Node.js: ${megabytes(total)}`)
    for (const [part, bytes] of parts) t.diagnostic(`  ${part}: ${megabytes(bytes)}`)
    t.diagnostic(`bill of materials: ${bill.length} packages; ${licences}`)
    await podman('image', 'unmount', imageName)

    assert.ok(total < 120e6, megabytes(total))
    assert.deepEqual(odd, [], 'belongs to development, or to other databases')
    assert.deepEqual(setuid, [], 'gains rights')
    assert.deepEqual(writable, [], 'can be changed by whoever runs it')
    assert.deepEqual(bill, packages, 'the bill of materials and what is there')
  })

  await t.test(
    'the image runs as uid 1000, read-only and without capabilities, from start to graceful end',
    async (t) => {
      const database = await createDatabase(t)
      const { url: DATABASE_URL } = await createFaultProxy(t, database)
      const PORT = String(await freePort())
      const env = { ...settings, DATABASE_URL, PORT, DRAIN_MS: '500' }
      const { container, startMs } = await startQuickly(() => start(t, env))
      t.diagnostic(`ready ${startMs} ms after the start of the container`)
      assert.ok(startMs < startBudgetMs, `${startMs} ms`)

      await assertConfined(container)
      const healthy = await container.exec('node', 'dist/cli.js', 'healthcheck')
      assert.match(healthy, /answered 200: \{"ready":true/)
      assert.match(await container.exec('flatline', 'config'), /database.url +\*\*\*/)

      const url = `http://127.0.0.1:${PORT}`
      const check = (await call(url, 'POST', '/api/v3/checks/', { name: 'nightly', timeout: 3600 })).json()
      assert.equal((await call(url, 'GET', new URL(String(check.ping_url)).pathname)).text, 'OK')
      assert.deepEqual(await sql(database, 'SELECT status, n FROM checks'), [{ status: 'up', n: '1' }])

      t.diagnostic(`resident memory at rest: ${megabytes(await restingMemory(container))}`)

      assert.equal(await container.stop('SIGTERM'), 0)
      const told = (await container.lines()).map(({ msg = '' }) => msg)
      const order = ['SIGTERM received, starting graceful shutdown...', 'Graceful shutdown complete']
      assert.deepEqual(
        told.filter((msg) => order.includes(msg)),
        order,
      )
    },
  )

  await t.test('the image migrates an empty database on command, and does nothing the second time', async (t) => {
    const { url: DATABASE_URL } = await createFaultProxy(t, await createDatabase(t, { empty: true }))
    const migrate = () => once({ ...settings, DATABASE_URL }, 'node', 'dist/cli.js', 'migrate')
    assert.match(await migrate(), /^applied \d{14}_/)
    assert.equal(await migrate(), 'nothing to migrate\n')
  })

  await t.test('the image says what is missing if it gets no database', async () => {
    await assert.rejects(
      once({ ...settings, PORT: String(await freePort()) }),
      /set DATABASE_URL to a PostgreSQL of your own/,
    )
    await assert.rejects(once({}), /ENCRYPTION_KEY: is required outside the local profile/)
  })
})

/** Nothing is written, so that there need be no place to write to. */
const settings = {
  INGEST_MODE: 'consistent',
  ENCRYPTION_KEY: 'ab'.repeat(32),
  BOOTSTRAP_API_KEY: keys.api_key,
  BOOTSTRAP_API_KEY_READONLY: keys.api_key_readonly,
  BOOTSTRAP_PING_KEY: keys.ping_key,
}

/** Seen from inside: who process 1 is, and what it may. */
async function assertConfined(container: Container): Promise<void> {
  const status = await container.exec('cat', '/proc/1/status')
  const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1]
  assert.equal((await container.exec('cat', '/proc/1/cmdline')).replaceAll('\0', ' ').trim(), 'node dist/server.js')
  assert.deepEqual(
    { uid: field('Uid'), gid: field('Gid'), capabilities: field('CapEff'), confined: field('NoNewPrivs') },
    { uid: '1000\t1000\t1000\t1000', gid: '1000\t1000\t1000\t1000', capabilities: '0'.repeat(16), confined: '1' },
  )
  for (const path of ['/data/x', '/app/x', '/tmp/x']) {
    await assert.rejects(container.exec('node', '-e', `fs.writeFileSync('${path}', '')`), /EROFS/)
  }
}

/** Under the limit of 512 MB that podman.ts sets: with a larger one V8 allows itself more for what is short-lived. */
async function restingMemory(container: Container): Promise<number> {
  return eventually('resident memory below 150 MB', async () => {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(await container.exec('cat', '/proc/1/status'))?.[1]
    return Number(kilobytes) * 1024 < 150e6 && Number(kilobytes) * 1024
  })
}

/**
 * From the start of the container until it is ready, without the time in which it could have gone on and other programs had the
 * processors (proc(5), schedstat): tests run beside each other. The best of three.
 */
async function startQuickly(start: () => Promise<Container>): Promise<{ container: Container; startMs: number }> {
  for (let attempt = 1; ; attempt++) {
    const container = await start()
    const ready = await container.event('server.ready')
    const wallMs = Date.parse(ready.time ?? '') - Date.parse((await container.state()).StartedAt)
    const waitedMs = Number((await container.exec('cat', '/proc/1/schedstat')).split(' ')[1]) / 1e6
    const startMs = Math.round(wallMs - waitedMs)
    if (startMs < startBudgetMs || attempt === 3) return { container, startMs }
    await container.stop('SIGKILL')
  }
}
