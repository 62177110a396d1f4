import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import * as checks from '../../src/health/checks.ts'
import { cpuLimitCores, memoryLimitBytes } from '../../src/health/limits.ts'
import { createOverload } from '../../src/health/overload.ts'
import { createHealth, type HealthCheck, type HealthStatus, overall } from '../../src/health/service.ts'
import { diskUsage, processCounts } from '../../src/health/usage.ts'
import { within } from '../patience.ts'

test('the worst critical check is the status; others degrade it, and only if they are known to be bad', () => {
  const c = (status: HealthStatus) => ({ critical: true, status })
  const o = (status: HealthStatus) => ({ critical: false, status })
  const table: [HealthStatus, { critical: boolean; status: HealthStatus }[]][] = [
    ['healthy', []],
    ['healthy', [c('healthy'), o('healthy')]],
    ['healthy', [c('healthy'), o('unknown')]],
    ['degraded', [c('healthy'), o('degraded')]],
    ['degraded', [c('healthy'), o('unhealthy')]],
    ['degraded', [c('degraded'), o('healthy')]],
    ['degraded', [c('unknown'), o('healthy')]],
    ['unhealthy', [c('unhealthy'), o('healthy')]],
    ['unhealthy', [c('degraded'), c('unhealthy'), o('degraded')]],
  ]
  for (const [expected, findings] of table) assert.equal(overall(findings), expected, JSON.stringify(findings))
})

test('checks run in parallel, one that hangs is given up, and probes within a second share one run', async () => {
  let now = 0
  let looks = 0
  const health = createHealth({ monotonic: () => now })
  health.register({
    name: 'quick',
    critical: true,
    timeoutMs: 1000,
    run: () => ({ status: looks++ < 0 ? 'unknown' : 'healthy' }),
  })
  const hang = () => new Promise<never>(() => {})
  health.register({ name: 'hangs', critical: true, timeoutMs: 30, run: hang, late: { connection: 'error' } })
  health.register({
    name: 'throws',
    critical: false,
    timeoutMs: 1000,
    run: () => {
      throw new Error('postgres://user:secret@host/db')
    },
  })
  const report = await within('the report', health.report())
  assert.equal(report.status, 'unhealthy')
  assert.equal(report.checks.quick?.status, 'healthy')
  assert.deepEqual(
    { ...report.checks.hangs, responseTime: 0 },
    { status: 'unhealthy', reason: 'timeout', connection: 'error', responseTime: 0 },
  )
  assert.deepEqual(Object.keys(report.checks.throws ?? {}).sort(), ['responseTime', 'status'])

  now = 999
  await health.report()
  assert.equal(looks, 1)
  now = 1000
  await health.report()
  assert.equal(looks, 2)
})

test('the database check distinguishes slow, unreachable and failing databases', async () => {
  const at = async (ping: () => Promise<void>, tookMs: number, canSpool = false, isHanging = false) => {
    let now = 0
    const monotonic = () => now
    const slow = async () => {
      now += tookMs
      await ping()
    }
    const pool = () => ({ active: 1, idle: 2, waiting: 0, max: 20 })
    const options = {
      ping: slow,
      pool,
      monotonic,
      degradedMs: 500,
      canSpool: () => canSpool,
      isHanging: () => isHanging,
    }
    const { status, connection } = await checks.databaseCheck(options).run()
    return [status, connection]
  }
  const fails = (code: string) => () => Promise.reject(Object.assign(new Error('no'), { code }))
  assert.deepEqual(await at(async () => {}, 500), ['healthy', 'connected'])
  assert.deepEqual(await at(async () => {}, 501), ['degraded', 'connected'])
  assert.deepEqual(await at(fails('ECONNREFUSED'), 1), ['unhealthy', 'disconnected'])
  assert.deepEqual(await at(fails('ECONNREFUSED'), 0, true), ['degraded', 'disconnected'])
  assert.deepEqual(await at(fails('57P03'), 1), ['unhealthy', 'disconnected'])
  assert.deepEqual(await at(fails('42P01'), 1), ['unhealthy', 'error'])
  const never = () => new Promise<void>(() => {})
  assert.deepEqual(await at(never, 1), ['degraded', 'connected'], 'what is only slow still serves')
  assert.deepEqual(await at(never, 1, false, true), ['unhealthy', 'error'])
  assert.deepEqual(await at(never, 1, true, true), ['degraded', 'error'])
  assert.deepEqual(await at(fails('unavailable'), 1, true, true), ['degraded', 'error'])
})

test('the memory check warns from 80 % on and is degraded above 90 % of the container’s limit', async () => {
  const at = async (permille: number) => {
    const options = { rss: () => permille, limitBytes: 1000, warnPercent: 80, degradedPercent: 90 }
    const { status, warning } = await checks.memoryCheck(options).run()
    return [status, warning]
  }
  assert.deepEqual(await at(799), ['healthy', false])
  assert.deepEqual(await at(800), ['healthy', true])
  assert.deepEqual(await at(900), ['healthy', true])
  assert.deepEqual(await at(901), ['degraded', true])
})

test('the disk check is degraded above 90 %, and unknown if the disk cannot be read', async () => {
  const at = async (usedBytes: number) =>
    (await checks.diskCheck(async () => ({ usedBytes, totalBytes: 1000 }), 90).run()).status
  assert.equal(await at(900), 'healthy')
  assert.equal(await at(901), 'degraded')
  const unreadable = checks.diskCheck(() => Promise.reject(new Error('EIO')), 90)
  assert.equal((await unreadable.run()).status, 'unknown')
  const usage = await diskUsage(join(tmpdir(), 'not', 'there', 'yet'))
  assert.ok(usage.totalBytes > 0 && usage.usedBytes <= usage.totalBytes)
})

test('the used share of a disk is that of df', async (t) => {
  const df = spawnSync('df', ['--output=pcent', tmpdir()], { encoding: 'utf8' })
  if (df.status !== 0) return t.skip('this df has no --output')
  const { usedBytes, totalBytes } = await diskUsage(tmpdir())
  const said = Number(/(\d+)%/.exec(df.stdout)?.[1])
  assert.ok(Math.abs(said - Math.ceil((usedBytes / totalBytes) * 100)) <= 1, `df says ${said} %`)
})

test('the process check shows processor, threads and files; overload degrades it', async () => {
  let now = 0
  let micros = 0
  const at = (isOverloaded: boolean) =>
    checks.processCheck({
      load: () => ({ eventLoopDelay: 10, eventLoopUtilized: 0.5 }),
      isOverloaded: () => isOverloaded,
      cpuMicros: () => micros,
      counts: async () => ({ threads: 11, openFiles: 22 }),
      monotonic: () => now,
    })
  const busy = at(false)
  now = 1000
  micros = 250_000
  const { status, cpuPercent, threads, openFiles } = await busy.run()
  assert.deepEqual([status, cpuPercent, threads, openFiles], ['healthy', 25, 11, 22])
  assert.equal((await at(true).run()).status, 'degraded')
  const counts = await processCounts()
  if (process.platform === 'linux') assert.ok(Number(counts.threads) > 1 && Number(counts.openFiles) > 2)
})

test('an event loop that is late or full for three seconds is overloaded, and a start is not', () => {
  let load = { eventLoopDelay: Number.POSITIVE_INFINITY, eventLoopUtilized: 1 }
  let isStarted = false
  const overload = createOverload({ load: () => load, isStarted: () => isStarted })
  const after = (samples: number) => {
    for (let i = 0; i < samples; i++) overload.sample()
    return overload.isLasting()
  }
  assert.equal(after(60), false, 'a start that takes a minute')
  isStarted = true
  assert.equal(after(1), false, 'the sample that contains the end of the start')
  assert.equal(after(2), false)
  assert.equal(after(1), true)
  load = { eventLoopDelay: 1000, eventLoopUtilized: 0.98 }
  assert.equal(after(1), false)
  load = { eventLoopDelay: 1001, eventLoopUtilized: 0 }
  assert.deepEqual([after(2), after(1)], [false, true])
  load = { eventLoopDelay: 0, eventLoopUtilized: 0.99 }
  assert.equal(after(1), true)
})

test('the cache check ignores few look-ups, and degrades by many misses of the last minutes', async () => {
  let now = 0
  const stats = { hits: 0, misses: 0 }
  const check = checks.cacheCheck({ stats: () => stats, minHitRatio: 0.1, monotonic: () => now })
  assert.equal((await check.run()).status, 'unknown')
  stats.misses = 999
  assert.equal((await check.run()).status, 'unknown')
  stats.misses = 1000
  assert.equal((await check.run()).status, 'degraded')
  stats.hits = 112
  assert.equal((await check.run()).status, 'healthy')
  for (now = 300_000; now <= 600_000; now += 300_000) await check.run()
  assert.equal((await check.run()).status, 'unknown', 'what was long ago does not count')
})

test('an open breaker, old heartbeats and a stuck detector degrade; failed encryption makes unhealthy', async () => {
  const status = async (check: HealthCheck) => (await check.run()).status
  assert.equal(
    await status(checks.circuitBreakersCheck(() => [{ state: 'closed' }, { state: 'half_open' }])),
    'healthy',
  )
  assert.equal(await status(checks.circuitBreakersCheck(() => [{ state: 'closed' }, { state: 'open' }])), 'degraded')
  const files = (room: boolean, isStalled: boolean) => ({
    backlog: () => ({ records: 1, bytes: 1 }),
    hasRoom: () => room,
    isStalled: () => isStalled,
  })
  const spool = (stalenessMs: number, room?: boolean, isStalled = false) =>
    checks.spoolCheck({
      queued: () => 1,
      spool: room === undefined ? null : files(room, isStalled),
      quarantined: () => 0,
      stalenessMs: () => stalenessMs,
      maxStalenessMs: 60_000,
    })
  assert.equal(await status(spool(60_000)), 'healthy')
  assert.equal(await status(spool(60_001)), 'degraded')
  assert.equal(await status(spool(60_001, true)), 'degraded')
  assert.equal(await status(spool(0, false)), 'unhealthy')
  assert.equal(await status(spool(0, true, true)), 'unhealthy', 'what gets no further is no place for heartbeats')
  const detector = (ago: number, lastRun = 1000, startedAt = 1) =>
    checks.detectorCheck({
      lastRun: () => lastRun,
      startedAt: () => startedAt,
      now: () => (lastRun || startedAt) + ago,
      degradedMs: 10_000,
    })
  assert.equal(await status(detector(10_000)), 'healthy')
  assert.equal(await status(detector(10_001)), 'degraded')
  assert.equal(await status(detector(10_000, 0)), 'healthy', 'it has only begun')
  assert.equal(await status(detector(10_001, 0)), 'degraded', 'it never came round')
  assert.equal(await status(detector(10_001, 0, 0)), 'unknown')
  const broken = checks.encryptionCheck(() => {
    throw new Error('no')
  }, 'local')
  assert.deepEqual((await broken.run()).status, 'unhealthy')
})

async function machine(t: TestContext, files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'flatline-cgroup-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  return root
}

test('the limits of the container count, in both versions of control groups, with their parent groups', async (t) => {
  const mount = 'sys/fs/cgroup'
  const none = await machine(t, {})
  assert.equal(memoryLimitBytes(none), totalmem())
  assert.ok(cpuLimitCores(none) >= 1)

  const second = await machine(t, {
    'proc/self/cgroup': '0::/\n',
    [`${mount}/memory.max`]: '536870912\n',
    [`${mount}/cpu.max`]: '50000 100000\n',
  })
  assert.equal(memoryLimitBytes(second), 536_870_912)
  assert.equal(cpuLimitCores(second), 0.5)

  const nested = await machine(t, {
    'proc/self/cgroup': '0::/kubepods/pod1/c1\n',
    [`${mount}/kubepods/pod1/c1/memory.max`]: 'max\n',
    [`${mount}/kubepods/pod1/memory.max`]: '268435456\n',
    [`${mount}/cpu.max`]: 'max 100000\n',
  })
  assert.equal(memoryLimitBytes(nested), 268_435_456)
  assert.ok(cpuLimitCores(nested) >= 1)

  const first = await machine(t, {
    'proc/self/cgroup': '4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n',
    [`${mount}/memory/memory.limit_in_bytes`]: '9223372036854771712\n',
    [`${mount}/memory/docker/abc/memory.limit_in_bytes`]: '104857600\n',
    [`${mount}/cpu,cpuacct/docker/abc/cpu.cfs_quota_us`]: '25000\n',
    [`${mount}/cpu,cpuacct/docker/abc/cpu.cfs_period_us`]: '100000\n',
    [`${mount}/cpu/cpu.cfs_quota_us`]: '-1\n',
    [`${mount}/cpu/cpu.cfs_period_us`]: '100000\n',
  })
  assert.equal(memoryLimitBytes(first), 104_857_600)
  assert.equal(cpuLimitCores(first), 0.25)
})
