import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { decodeRecords, encodeRecord, type SpoolRecord } from '../../src/spool/records.ts'
import { findSegments } from '../../src/spool/segments.ts'
import { openSpool, type RecordOwner, type Spool, type SpoolLimits } from '../../src/spool/spool.ts'
import { scratchDir } from '../helper.ts'

const log = { info() {}, error() {} }

test('a record is read as it was written', () => {
  const records = [
    record(1),
    { at: -1.5, payload: Buffer.from([0, 255, 10]) },
    { at: 1e300, payload: Buffer.alloc(0) },
    { at: 2, payload: encodeRecord(record(3)) },
  ]
  assert.deepEqual(decodeRecords(Buffer.concat(records.map(encodeRecord))), {
    records,
    damagedBytes: 0,
    isTorn: false,
  })
})

test('a torn end and a damaged record lose only themselves', () => {
  const whole = [1, 2, 3, 4].map((n) => encodeRecord(record(n)))
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

test('records are replayed in order over many segments, and leave the spool empty', async (t) => {
  const spool = await open(t, { segmentBytes: 1000 })
  await Promise.all(span(1, 200).map((n) => push(spool, n)))
  await push(spool, 201)
  assert.equal(spool.backlog().records, 201)
  assert.equal(spool.backlog().oldestAt, 1)
  assert.deepEqual(await replayAll(spool), span(1, 201))
  assert.deepEqual(spool.backlog(), { records: 0, bytes: 0, oldestAt: null })
})

test('a record that arrives during a replay is kept for the next', async (t) => {
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

test('a replay that fails leaves everything in place', async (t) => {
  const spool = await open(t)
  await push(spool, 1)
  await assert.rejects(
    spool.replay(() => Promise.reject(new Error('away again'))),
    /away again/,
  )
  assert.deepEqual(await replayAll(spool), [1])
})

test('a full spool takes no more and keeps its records', async (t) => {
  const spool = await open(t, { maxBytes: 4 * encodeRecord(record(1)).length })
  for (const n of span(1, 4)) await push(spool, n)
  assert.equal(
    spool.push(record(5), known, () => {}),
    false,
  )
  assert.deepEqual(await replayAll(spool), span(1, 4))
  await push(spool, 6)
})

test('unknown senders get a tenth of the room, and each leaves some for the others', async (t) => {
  const spool = await open(t, { maxBytes: 200 * encodeRecord(record(1000)).length })
  const taken = (owner: RecordOwner) => span(1001, 1200).filter((n) => spool.push(record(n), owner, () => {})).length
  const addresses = Array.from({ length: 30 }, (_, i) => taken({ unknownSender: `192.0.2.${i}` }))
  assert.deepEqual(addresses.slice(0, 4), [10, 5, 3, 1])
  assert.ok(addresses.reduce((sum, n) => sum + n, 0) <= 20)
  await push(spool, 1)
  assert.equal((await replayAll(spool)).length, addresses.reduce((sum, n) => sum + n, 0) + 1)
  assert.equal(taken({ unknownSender: '192.0.2.1' }), 10, 'an empty spool has room for them again')
})

test('an owner fills no more than its share', async (t) => {
  const spool = await open(t, { maxBytes: 20 * encodeRecord(record(1000)).length })
  const taken = (owner: RecordOwner) => span(1001, 1020).filter((n) => spool.push(record(n), owner, () => {})).length
  assert.equal(taken({ id: 'a', share: 0.5 }), 10)
  assert.equal(taken({ id: 'b', share: 0.8 }), 10, 'what is left')
})

test('a record that could not be written uses no share', async (t) => {
  const root = await scratchDir(t)
  const spool = await open(t, { maxBytes: 200 * encodeRecord(record(1000)).length }, root)
  const owners: RecordOwner[] = [{ id: 'a', share: 0.1 }, { unknownSender: '192.0.2.1' }]
  const write = (owner: RecordOwner) =>
    new Promise<string>((resolve) => {
      const taken = spool.push(record(1000), owner, (error) => resolve(error ? 'failed' : 'written'))
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

test('the backlog has the time of its oldest record, wherever that record is', async (t) => {
  const root = await scratchDir(t)
  const spool = await open(t, {}, root)
  await push(spool, 50)
  await push(spool, 40)
  assert.equal(spool.backlog().oldestAt, 40, 'behind a later one')
  assert.equal((await replayAll(spool)).length, 2)
  spool.push(record(70), known, () => {})
  assert.equal(spool.backlog().oldestAt, 70, 'on its way to the disk')
  spool.push(record(60), known, () => {})
  await spool.written()
  await spool.close()
  const found = await findSegments(root)
  assert.deepEqual(
    found.map(({ oldestAt }) => oldestAt),
    [60],
    'also for the process that takes it over',
  )
})

test('a process whose files were adopted acknowledges nothing in them and begins new ones', async (t) => {
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

test('a disk that failed and works again is noticed without a new record', async (t) => {
  const root = await scratchDir(t)
  const spool = await open(t, {}, root)
  const dir = join(root, (await readdir(root))[0] as string)
  await rm(dir, { recursive: true })
  await writeFile(dir, 'in the way')
  await assert.rejects(push(spool, 1))
  assert.equal(spool.hasRoom(), false)
  await assert.rejects(spool.maintain())
  assert.equal(spool.hasRoom(), false)
  await rm(dir)
  await spool.maintain()
  assert.equal(spool.hasRoom(), true)
  assert.deepEqual(await readdir(dir), ['owner.json'])
  await push(spool, 2)
  assert.deepEqual(await replayAll(spool), [2])
})

test('one of two others adopts the spool of a killed owner, and its records come first', async (t) => {
  const root = await scratchDir(t)
  const dead = await spawnOwner(t, root, 3)
  const [first, second] = await Promise.all([open(t, {}, root), open(t, {}, root)])
  await push(first, 10)
  await Promise.all([first.maintain(), second.maintain()])
  assert.equal(first.backlog().records + second.backlog().records, 1, 'a living owner keeps its spool')
  dead.kill('SIGKILL')
  await once(dead, 'exit')
  await Promise.all([first.maintain(), second.maintain()])
  const replayed = [...(await replayAll(second)), ...(await replayAll(first))]
  assert.deepEqual(replayed, [1, 2, 3, 10])
})

test('the spools that a killed adopter had taken are adopted by the next, oldest first', async (t) => {
  const root = await scratchDir(t)
  const gone = { host: (await import('node:os')).hostname(), pid: 1, startedAt: 'before' }
  await mkdir(join(root, 'a', 'b'), { recursive: true })
  await writeFile(join(root, 'a', 'owner.json'), JSON.stringify(gone))
  await writeFile(join(root, 'a', '0000000001.spool'), encodeRecord(record(2)))
  await writeFile(join(root, 'a', 'b', '0000000009.spool'), encodeRecord(record(1)))
  await appendFile(join(root, 'a', '0000000001.spool'), encodeRecord(record(3)).subarray(0, 20))
  const spool = await open(t, {}, root)
  await spool.maintain()
  assert.deepEqual(await replayAll(spool), [1, 2])
})

test('an empty spool leaves no directory behind, one with records does', async (t) => {
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
    parentMode: 0o700,
    limits: { maxBytes: 1e6, segmentBytes: 1e5, queueMaxEntries: 1000, ...limits },
    log,
  })
  t.after(() => spool.close())
  return spool
}

const known: RecordOwner = { id: null, share: 1 }

function push(spool: Spool, n: number): Promise<true> {
  return new Promise((resolve, reject) => {
    const taken = spool.push(record(n), known, (error) => (error ? reject(error) : resolve(true)))
    if (!taken) reject(new Error('full'))
  })
}

async function replayAll(spool: Spool): Promise<number[]> {
  const replayed: number[] = []
  while (await spool.replay(async (records) => void replayed.push(...records.map(({ at }) => at))));
  return replayed
}

/** Another process that owns a spool with `count` records. */
async function spawnOwner(t: TestContext, root: string, count: number) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures/spool-owner.ts'), root, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

/** Accepted at `n`. */
function record(n: number): SpoolRecord {
  return { at: n, payload: Buffer.from(`record ${n}`.padEnd(100, '.')) }
}

function span(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
