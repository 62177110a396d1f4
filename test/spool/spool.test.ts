import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { decodeRecords, encodeRecord } from '../../src/ingest/failover/heartbeat-record.ts'
import { findSegments } from '../../src/ingest/failover/segments.ts'
import { openSpool, type Spool, type SpoolLimits, type SpoolOwner } from '../../src/ingest/failover/spool.ts'
import type { Received } from '../../src/ingest/service.ts'
import { scratchDir } from '../helper.ts'

const log = { info() {}, error() {} }

test('a record comes back as it was written, body and all', () => {
  const records = [
    received(1),
    { ...received(2), body: Buffer.from([0, 255, 10]) },
    { ...received(3), body: Buffer.alloc(0) },
    { ...received(4), takenAt: 1_000_000 },
  ]
  assert.deepEqual(decodeRecords(Buffer.concat(records.map(encodeRecord))), {
    records,
    unreadable: [],
    damagedBytes: 0,
    isTorn: false,
  })
})

test('a torn end and a damaged record cost themselves and nothing else', () => {
  const whole = [1, 2, 3, 4].map((n) => encodeRecord(received(n)))
  const bytes = Buffer.concat(whole)
  const second = (whole[0] as Buffer).length
  bytes.writeUInt8(bytes.readUInt8(second + 30) ^ 1, second + 30)
  for (let cut = 1; cut <= (whole[3] as Buffer).length; cut++) {
    const { records, damagedBytes } = decodeRecords(bytes.subarray(0, bytes.length - cut))
    assert.deepEqual(
      records.map(({ at }) => at),
      [1, 3],
    )
    assert.equal(damagedBytes, (whole[1] as Buffer).length + (whole[3] as Buffer).length - cut)
  }
})

test('heartbeats are replayed in their order over many segments, and leave the spool empty', async (t) => {
  const spool = await open(t, { segmentBytes: 1000 })
  await Promise.all(span(1, 200).map((n) => push(spool, n)))
  await push(spool, 201)
  assert.equal(spool.backlog().records, 201)
  assert.equal(spool.backlog().oldestAt, 1)
  assert.deepEqual(await replayAll(spool), span(1, 201))
  assert.deepEqual(spool.backlog(), { records: 0, bytes: 0, oldestAt: null })
})

test('what arrives during a replay is kept for the next', async (t) => {
  const spool = await open(t)
  await push(spool, 1)
  await spool.replay(async (records) => {
    assert.deepEqual(
      records.map(({ at }) => at),
      [1],
    )
    await push(spool, 2)
  })
  assert.deepEqual(await replayAll(spool), [2])
})

test('a replay that fails leaves everything where it was', async (t) => {
  const spool = await open(t)
  await push(spool, 1)
  await assert.rejects(
    spool.replay(() => Promise.reject(new Error('away again'))),
    /away again/,
  )
  assert.deepEqual(await replayAll(spool), [1])
})

test('a full spool takes no more and keeps what it has', async (t) => {
  const spool = await open(t, { maxBytes: 4 * encodeRecord(received(1)).length })
  for (const n of span(1, 4)) await push(spool, n)
  assert.equal(
    spool.push(received(5), known, () => {}),
    false,
  )
  assert.deepEqual(await replayAll(spool), span(1, 4))
  await push(spool, 6)
})

test('strangers get a tenth of the room, and none of them more than is left for the others', async (t) => {
  const spool = await open(t, { maxBytes: 200 * encodeRecord(received(1000)).length })
  const taken = (owner: SpoolOwner) => span(1001, 1200).filter((n) => spool.push(received(n), owner, () => {})).length
  const addresses = Array.from({ length: 30 }, (_, i) => taken({ address: `192.0.2.${i}` }))
  assert.deepEqual(addresses.slice(0, 4), [10, 5, 3, 1])
  assert.ok(addresses.reduce((sum, n) => sum + n, 0) <= 20)
  await push(spool, 1)
  assert.equal((await replayAll(spool)).length, addresses.reduce((sum, n) => sum + n, 0) + 1)
  assert.equal(taken({ address: '192.0.2.1' }), 10, 'an empty spool has room for them again')
})

test('a project fills no more than its share', async (t) => {
  const spool = await open(t, { maxBytes: 20 * encodeRecord(received(1000)).length })
  const taken = (owner: SpoolOwner) => span(1001, 1020).filter((n) => spool.push(received(n), owner, () => {})).length
  assert.equal(taken({ projectId: 'a', share: 0.5 }), 10)
  assert.equal(taken({ projectId: 'b', share: 0.8 }), 10, 'what is left')
})

test('what could not be written takes up nobody’s share', async (t) => {
  const root = await scratchDir(t)
  const spool = await open(t, { maxBytes: 200 * encodeRecord(received(1000)).length }, root)
  const owners: SpoolOwner[] = [{ projectId: 'a', share: 0.1 }, { address: '192.0.2.1' }]
  const write = (owner: SpoolOwner) =>
    new Promise<string>((resolve) => {
      const taken = spool.push(received(1000), owner, (error) => resolve(error ? 'failed' : 'written'))
      if (!taken) resolve('full')
    })
  const dir = join(root, (await readdir(root))[0] as string)
  await rm(dir, { recursive: true })
  await writeFile(dir, 'in the way')
  for (const owner of owners)
    assert.deepEqual(new Set(await Promise.all(span(1, 9).map(() => write(owner)))), new Set(['failed']))
  for (let n = 0; n < 5; n++) for (const owner of owners) await Promise.all(span(1, 9).map(() => write(owner)))
  await rm(dir)
  for (const owner of owners) assert.equal(await write(owner), 'written')
})

test('the oldest is what got here first, wherever it lies and however old it says that it is', async (t) => {
  const root = await scratchDir(t)
  const spool = await open(t, {}, root)
  await push(spool, 50)
  await push(spool, 40)
  assert.equal(spool.backlog().oldestAt, 40, 'behind a later one')
  const upload = { ...received(3), takenAt: 60 }
  const written = new Promise((resolve) => spool.push(upload, known, resolve))
  await written
  assert.equal(spool.backlog().oldestAt, 40, 'an upload of what its sender had kept')
  assert.equal((await replayAll(spool)).length, 3)
  spool.push({ ...received(5), takenAt: 70 }, known, () => {})
  assert.equal(spool.backlog().oldestAt, 70, 'on its way to the disk')
  spool.push(received(60), known, () => {})
  await spool.written()
  await spool.close()
  const found = await findSegments(root)
  assert.deepEqual(
    found.map(({ oldestAt }) => oldestAt),
    [60],
    'also for whoever takes it over',
  )
})

test('whoever had its files taken over promises nothing more, and starts anew', async (t) => {
  const root = await scratchDir(t)
  const spool = await open(t, {}, root)
  await push(spool, 1)
  const [own] = await readdir(root)
  await mkdir(join(root, 'other'))
  await rename(join(root, own as string), join(root, 'other', own as string))
  await assert.rejects(push(spool, 2))
  const moved = join(root, 'other', own as string, '0000000001.spool')
  assert.deepEqual(
    decodeRecords(await readFile(moved)).records.map(({ at }) => at),
    [1],
  )
  await push(spool, 3)
  assert.deepEqual(await replayAll(spool), [3], 'what was taken over does not stand in the way of what came after it')
  assert.deepEqual(spool.backlog(), { records: 0, bytes: 0, oldestAt: null })
})

test('a disk that failed and works again is noticed, also when nothing comes any more', async (t) => {
  const root = await scratchDir(t)
  const spool = await open(t, {}, root)
  const dir = join(root, (await readdir(root))[0] as string)
  await rm(dir, { recursive: true })
  await writeFile(dir, 'in the way')
  await assert.rejects(push(spool, 1))
  assert.equal(spool.hasRoom(), false)
  await assert.rejects(spool.tend())
  assert.equal(spool.hasRoom(), false)
  await rm(dir)
  await spool.tend()
  assert.equal(spool.hasRoom(), true)
  assert.deepEqual(await readdir(dir), ['owner.json'])
  await push(spool, 2)
  assert.deepEqual(await replayAll(spool), [2])
})

test('a spool whose owner was killed is taken over by one of two others, and its heartbeats come first', async (t) => {
  const root = await scratchDir(t)
  const dead = await spawnOwner(t, root, 3)
  const [first, second] = await Promise.all([open(t, {}, root), open(t, {}, root)])
  await push(first, 10)
  await Promise.all([first.tend(), second.tend()])
  assert.equal(first.backlog().records + second.backlog().records, 1, 'a living owner keeps its spool')
  dead.kill('SIGKILL')
  await once(dead, 'exit')
  await Promise.all([first.tend(), second.tend()])
  const replayed = [...(await replayAll(second)), ...(await replayAll(first))]
  assert.deepEqual(replayed, [1, 2, 3, 10])
})

test('what a killed adopter had taken over is found by the next, older first', async (t) => {
  const root = await scratchDir(t)
  const gone = { host: (await import('node:os')).hostname(), pid: 1, startedAt: 'before' }
  await mkdir(join(root, 'a', 'b'), { recursive: true })
  await writeFile(join(root, 'a', 'owner.json'), JSON.stringify(gone))
  await writeFile(join(root, 'a', '0000000001.spool'), encodeRecord(received(2)))
  await writeFile(join(root, 'a', 'b', '0000000009.spool'), encodeRecord(received(1)))
  await appendFile(join(root, 'a', '0000000001.spool'), encodeRecord(received(3)).subarray(0, 20))
  const spool = await open(t, {}, root)
  await spool.tend()
  assert.deepEqual(await replayAll(spool), [1, 2])
})

test('an empty spool leaves no directory behind, one with heartbeats does', async (t) => {
  const root = await scratchDir(t)
  const empty = await open(t, {}, root)
  await empty.close()
  assert.deepEqual(await readdir(root), [])
  const full = await open(t, {}, root)
  await push(full, 1)
  await full.close()
  assert.equal((await readdir(root)).length, 1)
})

async function open(t: TestContext, limits: Partial<SpoolLimits> = {}, root?: string): Promise<Spool> {
  const spool = await openSpool({
    root: root ?? (await scratchDir(t)),
    limits: { maxBytes: 1e6, segmentBytes: 1e5, queueMaxEntries: 1000, ...limits },
    log,
  })
  t.after(() => spool.close())
  return spool
}

const known: SpoolOwner = { projectId: '', share: 1 }

function push(spool: Spool, n: number): Promise<true> {
  return new Promise((resolve, reject) => {
    const taken = spool.push(received(n), known, (error) => (error ? reject(error) : resolve(true)))
    if (!taken) reject(new Error('full'))
  })
}

async function replayAll(spool: Spool): Promise<number[]> {
  const replayed: number[] = []
  while (await spool.replay(async (records) => void replayed.push(...records.map(({ at }) => at))));
  return replayed
}

/** Another process that owns a spool with `count` heartbeats. */
async function spawnOwner(t: TestContext, root: string, count: number) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures/spool-owner.ts'), root, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

function received(n: number): Received {
  return {
    id: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`,
    at: n,
    checkId: '6b1f3a52-54be-4909-a300-9a296a8c72e4',
    kind: 'success',
    exitStatus: null,
    rid: null,
    method: 'GET',
    scheme: 'http',
    remoteAddr: '127.0.0.1',
    ua: 'test',
    body: null,
    requestId: 'r',
    slug: null,
    mail: null,
    pingKeyHash: null,
    uploader: null,
    key: null,
    created: false,
  }
}

function span(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
