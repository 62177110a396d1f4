import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { Agent, createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { adminToken, call, eventually, keys, scratchDir } from '../../helper.ts'
import { patience, within } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { type Service, startService } from '../service.ts'

const auth = { 'x-api-key': keys.api_key }

async function createChecks(service: Service, count: number): Promise<string[]> {
  const made = await Promise.all(
    Array.from({ length: count }, () => call(service.url, 'POST', '/api/v3/checks/', {}, auth)),
  )
  return made.map((answer) => new URL(String(answer.json().ping_url)).pathname)
}

type Load = { acknowledged: number; refused: number; dropped: string[]; stop: () => Promise<void> }

/**
 * Pings from `clients` keep-alive connections until stopped. A client that gets `Connection: close` disconnects, as a load
 * balancer does; one that was cut off in flight counts as dropped, unless its idle connection was closed under the request.
 */
function load(url: string, paths: string[], clients: number): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const result: Load = { acknowledged: 0, refused: 0, dropped: [], stop: async () => {} }
  let going = true
  const one = (path: string) =>
    new Promise<boolean>((resolve) => {
      const sent = request(url + path, { agent }, (response) => {
        response.resume().once('end', () => {
          if (response.statusCode === 200) result.acknowledged++
          else result.refused++
          resolve(response.headers.connection !== 'close')
        })
      })
      sent.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNREFUSED' && !(error.code === 'ECONNRESET' && sent.reusedSocket)) {
          result.dropped.push(String(error.code))
        }
        resolve(false)
      })
      sent.end()
    })
  const all = Promise.all(
    Array.from({ length: clients }, async (_, i) => {
      for (let k = i; going; k++) if (!(await one(paths[k % paths.length] as string))) return
    }),
  )
  result.stop = async () => {
    going = false
    await all
    agent.destroy()
  }
  return result
}

const recorded = async (url: string) => {
  const [row] = await sql<{ rows: string; n: string }>(
    url,
    'SELECT (SELECT count(*) FROM heartbeats) AS rows, sum(n) AS n FROM checks',
  )
  assert.equal(row?.rows, row?.n, 'every counted heartbeat has its row')
  return Number(row?.n)
}

test('SIGTERM under load loses no acknowledged heartbeat and drops no request in flight', async (t) => {
  const databaseUrl = await createDatabase(t)
  const service = await startService(t, { env: { DATABASE_URL: databaseUrl, DRAIN_MS: '300' } })
  const pings = load(service.url, await createChecks(service, 20), 30)
  await eventually('some acknowledged heartbeats', () => pings.acknowledged > 200)
  const code = await service.stop()
  await pings.stop()
  assert.equal(code, 0)
  assert.deepEqual(pings.dropped, [])
  assert.equal(await recorded(databaseUrl), pings.acknowledged)
  const order = service.lines().flatMap(({ event }) => (event?.startsWith('shutdown.') ? [event] : []))
  assert.deepEqual(order, ['shutdown.start', 'shutdown.drain', 'shutdown.closed', 'shutdown.complete'])
})

test('kill -9 under load loses no acknowledged heartbeat, also with the embedded database', async (t) => {
  const env = { DATA_DIR: await scratchDir(t) }
  const service = await startService(t, { env })
  const pings = load(service.url, await createChecks(service, 20), 30)
  await eventually('some acknowledged heartbeats', () => pings.acknowledged > 200)
  await service.stop('SIGKILL')
  await pings.stop()
  const next = await startService(t, { env })
  const { checks } = (await call(next.url, 'GET', '/api/v3/checks/', undefined, auth)).json()
  const counted = (checks as { n_pings: number }[]).reduce((sum, { n_pings }) => sum + n_pings, 0)
  // At most what was in flight was written without an answer having come through.
  assert.ok(counted >= pings.acknowledged && counted <= pings.acknowledged + 30, `${counted} of ${pings.acknowledged}`)
  assert.equal(await next.stop(), 0)
})

test('while draining, readiness and health are 503, liveness is 200, and requests are served', async (t) => {
  const service = await startService(t, {
    env: { DATABASE_URL: await createDatabase(t), DRAIN_MS: String(patience(1500)) },
  })
  const [path] = await createChecks(service, 1)
  const ended = service.stop()
  await service.event('shutdown.start')
  const answers = await Promise.all(
    ['/health/ready', '/health', '/health/live', '/metrics', String(path)].map((one) =>
      call(service.url, 'GET', one, undefined, {}),
    ),
  )
  assert.deepEqual(
    answers.map(({ status, headers }) => `${status} ${headers.get('connection')}`),
    ['503 close', '503 close', '200 close', '200 close', '200 close'],
  )
  assert.equal(await ended, 0)
})

test('every cause of a shutdown has its exit code and its audit entry', async (t) => {
  const databaseUrl = await createDatabase(t)
  const env = { DATABASE_URL: databaseUrl }
  const causes: [string, (service: Service) => unknown, number][] = [
    ['SIGTERM', (service) => service.child.kill('SIGTERM'), 0],
    ['SIGINT', (service) => service.child.kill('SIGINT'), 0],
    [
      'request',
      (service) => call(service.url, 'POST', '/admin/shutdown', undefined, { authorization: `Bearer ${adminToken}` }),
      0,
    ],
  ]
  for (const [cause, end, code] of causes) {
    const service = await startService(t, { env })
    await end(service)
    assert.equal(await service.exited, code, cause)
    assert.equal(service.lines().find(({ event }) => event === 'shutdown.start')?.cause, cause)
  }
  const audit = await sql<{ cause: string }>(
    databaseUrl,
    "SELECT detail->>'cause' AS cause FROM audit WHERE action = 'service.shutdown' ORDER BY id",
  )
  assert.deepEqual(
    audit.map(({ cause }) => cause),
    causes.map(([cause]) => cause),
  )
})

test('an uncaught exception and an unhandled rejection end the process in order, with exit code 1', async (t) => {
  for (const fault of ["throw new Error('planted')", "Promise.reject(new Error('planted'))"]) {
    const env = {
      DATABASE_URL: await createDatabase(t),
      NODE_OPTIONS: `--import=data:text/javascript,process.on('SIGUSR1',()=>{${encodeURIComponent(fault)}})`,
    }
    const service = await startService(t, { env })
    service.child.kill('SIGUSR1')
    assert.equal(await service.exited, 1)
    await service.event('shutdown.complete').catch(() => assert.fail(service.output()))
    assert.match(JSON.stringify(service.lines().find(({ event }) => event === 'shutdown.error')), /planted/)
  }
})

test('SIGHUP is ignored, a second signal ends at once, and a hanging request is cut after the time-out', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t), SHUTDOWN_TIMEOUT_MS: '1500' }
  const service = await startService(t, { env })
  service.child.kill('SIGHUP')
  await service.event('signal.ignored')
  assert.equal((await call(service.url, 'GET', '/health/live')).status, 200)

  const hanging = async (one: Service) => {
    const socket = connect(Number(new URL(one.url).port), '127.0.0.1')
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    socket.write(
      'POST /api/v3/checks/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    )
    // 100 Continue: the request is in flight.
    await within('the request to be heard', once(socket, 'data'))
  }
  await hanging(service)
  assert.equal(await service.stop(), 1)
  const forced = service.lines().find(({ event }) => event === 'shutdown.forced')
  assert.equal(forced?.msg, 'Forced shutdown after timeout')
  assert.match(JSON.stringify(forced?.resources), /TCPSocketWrap/)

  const second = await startService(t, { env: { ...env, SHUTDOWN_TIMEOUT_MS: String(patience(20_000)) } })
  await hanging(second)
  const ended = second.stop()
  await second.event('shutdown.start')
  second.child.kill('SIGINT')
  assert.equal(await ended, 1)
  await second.event('shutdown.second_signal').catch(() => assert.fail(second.output()))
})

test('a shutdown while the database is unavailable is in the audit log after the next start', async (t) => {
  const databaseUrl = await createDatabase(t)
  const env = { DATABASE_URL: databaseUrl, DATA_DIR: await scratchDir(t) }
  const service = await startService(t, { env })
  const name = /\/([^/?]+)\?/.exec(databaseUrl)?.[1] as string
  const admin = (text: string) => sql(process.env.TEST_DATABASE_URL as string, text)
  await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
  await admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`)
  assert.equal(await service.stop(), 0, service.output())
  await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
  const next = await startService(t, { env })
  const rows = await sql(databaseUrl, "SELECT 1 FROM audit WHERE action = 'service.shutdown'")
  assert.equal(rows.length, 1)
  await next.stop()
})

test('a shutdown that cannot be recorded finishes its work nevertheless', async (t) => {
  const databaseUrl = await createDatabase(t)
  const env = { DATABASE_URL: databaseUrl, DATA_DIR: await scratchDir(t) }
  const service = await startService(t, { env })
  await sql(databaseUrl, 'ALTER TABLE audit RENAME TO elsewhere')
  // In the place of the file that would be left for the next start.
  await mkdir(join(env.DATA_DIR, 'last-shutdown.json'))
  assert.equal(await service.stop(), 0, service.output())
  await service.event('audit.not_written').catch(() => assert.fail(service.output()))
  await service.event('shutdown.complete').catch(() => assert.fail(service.output()))
  await sql(databaseUrl, 'ALTER TABLE elsewhere RENAME TO audit')
  const next = await startService(t, { env })
  assert.equal(await next.stop(), 0, next.output())
})

test('a call that waits for a destination has the whole drain, and is given up when the listener closes', async (t) => {
  let answer = () => {}
  const far = createServer((request, response) => {
    if (request.url === '/slow') answer = () => response.end()
  }).listen(0, '127.0.0.1')
  t.after(() => far.closeAllConnections())
  t.after(() => far.close())
  await eventually('the destination', () => far.listening)
  const base = `http://127.0.0.1:${(far.address() as AddressInfo).port}`
  const service = await startService(t, {
    env: { DATABASE_URL: await createDatabase(t), DRAIN_MS: String(patience(1500)) },
  })
  const tried = await Promise.all(
    ['/slow', '/never'].map(async (path) => {
      const channel = { kind: 'webhook', name: path, settings: { url: base + path } }
      const { id } = (await call(service.url, 'POST', '/api/v3/channels/', channel, auth)).json()
      return () => call(service.url, 'POST', `/api/v3/channels/${id}/test/`, undefined, auth)
    }),
  )
  const [slow, never] = tried.map((attempt) => attempt())
  await eventually('both to wait', () => new Promise((done) => far.getConnections((_error, n) => done(n === 2))))
  const ended = service.stop()
  await service.event('shutdown.start')
  await eventually('readiness to be gone', async () => (await call(service.url, 'GET', '/ready')).status === 503)
  answer()
  assert.deepEqual((await slow)?.json(), { delivered: true, error: null })
  assert.deepEqual((await never)?.json(), { delivered: false, error: 'interrupted by a shutdown' })
  assert.equal(await ended, 0)
})

test('a stop while the embedded database starts ends in order', async (t) => {
  const service = await startService(t, { ready: false })
  assert.equal(await service.stop(), 0, service.output())
  assert.ok(!service.lines().some(({ level }) => level === 'fatal'))
})

test('SIGTERM during a requested shutdown, as from an orchestrator, is not a second signal', async (t) => {
  const service = await startService(t, {
    env: { DATABASE_URL: await createDatabase(t), DRAIN_MS: String(patience(1000)) },
  })
  const admin = { authorization: `Bearer ${adminToken}` }
  assert.equal((await call(service.url, 'POST', '/admin/shutdown', undefined, admin)).status, 202)
  await eventually('draining', async () => (await call(service.url, 'GET', '/health/ready')).status === 503)
  assert.equal((await call(service.url, 'POST', '/admin/shutdown', undefined, admin)).status, 202)
  assert.equal(await service.stop(), 0, service.output())
  assert.equal(service.lines().filter(({ event }) => event === 'shutdown.start').length, 1)
})

test('no silence is detected once the listener has closed, however long the rest takes', async (t) => {
  const databaseUrl = await createDatabase(t)
  const service = await startService(t, { env: { DATABASE_URL: databaseUrl } })
  const hanging = createServer(() => {}).listen(0, '127.0.0.1')
  t.after(() => hanging.closeAllConnections())
  t.after(() => hanging.close())
  await eventually('the destination', () => hanging.listening)
  const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/`
  await call(service.url, 'POST', '/api/v3/channels/', { kind: 'webhook', name: 'h', settings: { url } }, auth)
  const failing = (await call(service.url, 'POST', '/api/v3/checks/', { channels: '*' }, auth)).json()
  const watched = (await call(service.url, 'POST', '/api/v3/checks/', { timeout: 2, grace: 2 }, auth)).json()
  await call(service.url, 'GET', `/ping/${failing.uuid}/fail`, undefined, {})
  await eventually('an alert that hangs', async () => {
    return new Promise<boolean>((resolve) => hanging.getConnections((_error, count) => resolve(count > 0)))
  })
  await call(service.url, 'GET', `/ping/${watched.uuid}`, undefined, {})
  const began = performance.now()
  assert.equal(await service.stop(), 0)
  assert.ok(performance.now() - began > 4000, 'the shutdown took longer than the check waits')
  const flips = await sql(databaseUrl, "SELECT 1 FROM flips WHERE reason = 'timeout'")
  assert.deepEqual(flips, [])
})
