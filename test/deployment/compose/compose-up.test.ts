// docker-compose.yml as somebody with a fresh checkout brings it up: by Compose, on a real engine, with the image of this checkout.

import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { eventually, scratchDir } from '../../helper.ts'
import { patience } from '../../patience.ts'
import { needsContainers, run } from '../containers.ts'
import { type Docker, engineTools, startDocker } from '../image/docker.ts'
import { buildTools, builtImage, imageName } from '../image/image.ts'
import { buildStandIns, standInTools } from '../stand-ins.ts'

const root = new URL('../../..', import.meta.url).pathname
const skip = needsContainers(...buildTools, ...engineTools, ...standInTools)
const timeout = patience(900_000)

const up = ['up', '--detach', '--wait', '--no-build', '--quiet-pull']
const managed = ['alertmanager', 'flatline', 'grafana', 'haproxy', 'postgres', 'prometheus', 'secrets']

test('docker compose up', { skip, timeout }, async (t) => {
  const { engine, directory } = await prepare(t)
  const { compose, docker } = engine
  let apiKey = ''
  let ping = ''
  const call = (path: string, ...args: string[]) => request(engine, `http://127.0.0.1:8000${path}`, apiKey, ...args)
  const heartbeats = async () => JSON.parse((await call(`/api/v3/checks/${ping.split('/').at(-1)}`)).body).n_pings

  const scaled = (...args: string[]) => compose(['--profile=scale', ...args], { REDIS_URL: 'rediss://redis:6380' })

  await t.test('docker compose up starts everything and finds it healthy', async (t) => {
    const began = performance.now()
    await compose([...up, '--scale=flatline=1'])
    t.diagnostic(`everything healthy after ${Math.round((performance.now() - began) / 1000)} s`)
    const all = await containers(engine)
    assert.deepEqual([...new Set(all.map(({ Service }) => Service))].sort(), managed)
    const unwell = all.filter(({ Service, State, Health, ExitCode }) =>
      Service === 'secrets' ? State !== 'exited' || ExitCode !== 0 : State !== 'running' || Health !== 'healthy',
    )
    assert.deepEqual(unwell, [])
  })

  await t.test('Compose generates its secrets once, and prints them only on request', async () => {
    const shown = await compose(['run', '--rm', 'secrets', 'show'])
    apiKey = /^API key +(\S{32})$/m.exec(shown)?.[1] ?? ''
    assert.notEqual(apiKey, '')
    assert.match(await compose(['run', '--rm', 'secrets', 'generate']), /all secrets are there/)
    assert.equal(await compose(['run', '--rm', 'secrets', 'show']), shown)

    const values = [...shown.matchAll(/ (\S+)$/gm)].map(([, value]) => value ?? '')
    const seen = (await compose(['logs', '--no-color'])) + (await docker('inspect', ...(await ids(engine))))
    assert.equal(values.length, 5)
    for (const value of values)
      assert.ok(!seen.includes(value), 'a secret is in a log or in the configuration of a container')
  })

  await t.test('the load balancer passes heartbeats and hides the metrics', async () => {
    const made = await call('/api/v3/checks/', '--data', '{"name": "nightly", "timeout": 3600}')
    assert.equal(made.status, 201, made.body)
    ping = new URL(JSON.parse(made.body).ping_url).pathname
    assert.deepEqual(await call(ping), { status: 200, body: 'OK' })
    assert.match(JSON.parse(made.body).ping_url, /^http:\/\/localhost:8000\/ping\//)
    for (const path of ['/metrics', '/METRICS', '/%6detrics?x=1']) assert.equal((await call(path)).status, 404, path)
    assert.equal((await request(engine, 'http://127.0.0.1:3000/api/health', '')).status, 200)
  })

  await t.test('the running service is confined and limited as the file says', async () => {
    const [{ HostConfig, Config }] = JSON.parse(await docker('inspect', ...(await ids(engine, 'flatline'))))
    assert.deepEqual(
      [HostConfig.Memory, HostConfig.NanoCpus, HostConfig.MemoryReservation, HostConfig.PidsLimit],
      [2 ** 30, 1e9, 512 * 2 ** 20, 200],
    )
    assert.deepEqual([HostConfig.ReadonlyRootfs, HostConfig.CapDrop, Config.User], [true, ['ALL'], '1000:1000'])
    const labels = 'com.docker.compose.project,com.docker.compose.service'
    const options = { 'max-file': '3', 'max-size': '10m', labels }
    assert.deepEqual(HostConfig.LogConfig, { Type: 'json-file', Config: options })
  })

  await t.test('the log file of a container has the line of the service, and names the service', async () => {
    const path = (await docker('inspect', '--format={{.LogPath}}', ...(await ids(engine, 'flatline')))).trim()
    const written = JSON.parse((await readFile(path, 'utf8')).split('\n', 1)[0] ?? '')
    const attrs = { 'com.docker.compose.project': 'flatline', 'com.docker.compose.service': 'flatline' }
    assert.deepEqual([Object.keys(written).sort(), written.attrs], [['attrs', 'log', 'stream', 'time'], attrs])
    assert.equal(JSON.parse(written.log).service, 'flatline')
  })

  await t.test('clients and the database are reached with TLS, and the database not without', async () => {
    const authority = join(directory, 'authority.pem')
    await writeFile(authority, await compose(['run', '--rm', 'secrets', 'authority']))
    const secure = ['--cacert', authority, '--tlsv1.3']
    assert.deepEqual(await request(engine, `https://localhost:8443${ping}`, '', ...secure), { status: 200, body: 'OK' })
    const connect = (change: string) => `
      const url = require('fs').readFileSync('/run/secrets/database-url', 'utf8').trim()${change}
      const client = new (require('pg').Client)(url)
      client.connect().then(() => client.query('SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))
        .then(({ rows }) => console.log(rows[0].version), (error) => console.log(error.message))
        .finally(() => client.end())`
    const ask = (change = '') => compose(['exec', '-T', 'flatline', 'node', '-e', connect(change)])
    assert.match(await ask(), /^TLSv1\.3$/m)
    assert.match(await ask('.split("?")[0]'), /no encryption/)
  })

  await t.test('Compose scales to three replicas, which the load balancer and Prometheus find', async () => {
    await compose([...up, '--no-recreate', '--scale=flatline=3'])
    await eventually('each replica to have taken heartbeats', async () => {
      for (let n = 0; n < 6; n++) assert.equal((await call(ping)).body, 'OK')
      const taken = await Promise.all((await ids(engine, 'flatline')).map((id) => takenBy(engine, id)))
      return taken.length === 3 && taken.every((count) => count > 0)
    })
    const query = 'http://127.0.0.1:9090/api/v1/query?query=sum(up%7Bjob%3D%22flatline%22%7D)'
    await eventually(
      'Prometheus to scrape three replicas',
      async () => JSON.parse((await request(engine, query, '')).body).data.result[0]?.value[1] === '3',
      90_000,
    )
  })

  await t.test('deploy.sh replaces the service without one failed heartbeat', async (t) => {
    const before = await heartbeats()
    await writeFile(join(directory, 'Dockerfile'), `FROM ${imageName}\nLABEL next=yes\n`)
    await docker(
      'build',
      '--tag=flatline:next',
      '--file',
      join(directory, 'Dockerfile'),
      join(directory, 'checkout/compose'),
    )
    const client = engine.start(
      process.execPath,
      join(import.meta.dirname, '../steady-pings.ts'),
      `http://127.0.0.1:8000${ping}`,
    )
    const file = join(directory, 'checkout/docker-compose.yml')
    const options = [
      '--file',
      file,
      '--backup-dir',
      directory,
      '--image',
      'flatline:next',
      '--settle',
      '3',
      '--timeout',
      '90',
    ]
    const deployment = run(join(root, 'scripts/deploy.sh'), ['compose', 'deploy', ...options], {
      env: engine.env,
      timeoutMs: 400_000,
    })
    // Also of one that failed, so that what comes after it is not counted in.
    await deployment.finally(() => client.kill('SIGTERM'))
    const counts: Record<string, number> = JSON.parse(await text(client.stdout))
    t.diagnostic(`heartbeats during the deployment: ${JSON.stringify(counts)}`)
    assert.deepEqual(Object.keys(counts), ['200'])
    assert.equal(await heartbeats(), before + (counts[200] ?? 0))
    const images = await docker('inspect', '--format={{.Config.Image}}', ...(await ids(engine, 'flatline')))
    assert.deepEqual(
      images.trim().split('\n'),
      Array.from({ length: 3 }, () => 'flatline:next'),
    )
  })

  await t.test('Compose stops every replica gracefully, and a restart keeps the data', async () => {
    const before = await heartbeats()
    assert.ok(before > 6)
    const replicas = await ids(engine, 'flatline')
    await compose(['stop'])
    for (const id of replicas) {
      const [{ State }] = JSON.parse(await docker('inspect', id))
      assert.equal(State.ExitCode, 0)
      assert.match(await docker('logs', id), /Graceful shutdown complete/)
    }
    await compose(['down'])
    await scaled(...up, '--scale=flatline=1')
    assert.equal(await heartbeats(), before)
    assert.deepEqual(await call(ping), { status: 200, body: 'OK' })
    assert.equal(await heartbeats(), before + 1)
  })

  await t.test('the profile for scaling counts calls in Redis', async () => {
    await eventually('a count of calls in Redis', async () => {
      assert.equal((await call('/api/v3/checks/')).status, 200)
      return /^flatline-rate-\S*management:/m.test(await scaled('exec', '-T', 'redis', 'redis-cli', '--scan'))
    })
    await scaled('down', '--volumes')
    assert.equal(await docker('volume', 'ls', '--quiet'), '')
  })
})

/** An engine with all images, and a directory with what of the checkout Compose reads. */
async function prepare(t: TestContext): Promise<{ engine: Docker; directory: string }> {
  const directory = await scratchDir(t)
  const checkout = join(directory, 'checkout')
  for (const name of ['docker-compose.yml', 'compose', 'monitoring']) {
    await cp(join(root, name), join(checkout, name), { recursive: true })
  }
  const engine = await startDocker(t, checkout, { FLATLINE_IMAGE: imageName })
  await engine.docker('load', '--quiet', '--input', await builtImage())
  const { services } = JSON.parse(await engine.compose(['--profile=scale', 'config', '--format=json']))
  const images = Object.entries<{ image: string }>(services).map(([name, { image }]) => [name, image])
  const others = images.filter(([, image]) => image !== imageName)
  await buildStandIns(engine, imageName, directory, Object.fromEntries(others))
  return { engine, directory }
}

type Listed = { ID: string; Service: string; State: string; Health: string; ExitCode: number }

async function containers({ compose }: Docker, ...services: string[]): Promise<Listed[]> {
  const listed = await compose(['ps', '--all', '--format=json', ...services])
  return listed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

async function ids(engine: Docker, ...services: string[]): Promise<string[]> {
  return (await containers(engine, ...services)).map(({ ID }) => ID)
}

async function request({ curl }: Docker, url: string, key: string, ...args: string[]) {
  const lines = (await curl(...(key ? ['--header', `X-Api-Key: ${key}`] : []), ...args, url)).split('\n')
  return { status: Number(lines.pop()), body: lines.join('\n') }
}

/** Heartbeats that this replica has recorded, by its own metrics. */
async function takenBy({ docker }: Docker, id: string): Promise<number> {
  const script = "fetch('http://127.0.0.1:8000/metrics').then((r) => r.text()).then(console.log)"
  const metrics = await docker('exec', id, 'node', '-e', script)
  return Number(/^heartbeats_received_total\{.*outcome="recorded".*\} (\d+)$/m.exec(metrics)?.[1] ?? 0)
}
