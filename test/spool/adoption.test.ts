import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeRecord, type SpoolRecord } from '../../src/spool/records.ts'
import { openSpool } from '../../src/spool/spool.ts'
import { scratchDir } from '../helper.ts'

const record = (at: number) => encodeRecord({ at, payload: Buffer.alloc(100, 'x') })
const limits = { maxBytes: 1e6, segmentBytes: 1e5, queueMaxEntries: 1000 }

test('a spool that cannot be adopted is reported once, and other files stay in place', async (t) => {
  const root = await scratchDir(t)
  const events: string[] = []
  const log = { info() {}, error: (line: object) => void events.push(String((line as { event?: string }).event)) }
  const spool = await openSpool({ root, parentMode: 0o700, limits, log })
  t.after(() => spool.close())
  const own = (await readdir(root))[0] as string
  const abandoned = join(root, 'abandoned')
  await mkdir(abandoned)
  await writeFile(join(root, 'notes.txt'), 'of somebody else')
  for (const path of [abandoned, join(root, 'notes.txt')]) await utimes(path, 0, 0)
  // A directory that is not empty cannot be replaced, as one cannot be moved for want of permission.
  await mkdir(join(root, own, 'abandoned', 'in the way'), { recursive: true })
  await spool.maintain()
  await spool.maintain()
  assert.deepEqual(events, ['spool.stuck'])
  assert.deepEqual((await readdir(root)).sort(), [own, 'abandoned', 'notes.txt'].sort())
  await rm(join(root, own, 'abandoned'), { recursive: true })
  await utimes(abandoned, 0, 0)
  await spool.maintain()
  assert.deepEqual((await readdir(root)).sort(), [own, 'notes.txt'].sort())
})

test('the file that names the owner is whole at every moment, also while it is being written', async (t) => {
  const root = await scratchDir(t)
  const spool = await openSpool({ root, parentMode: 0o700, limits, log: { info() {}, error() {} } })
  t.after(() => spool.close())
  const path = join(root, spool.id, 'owner.json')
  let isTouching = true
  const touching = (async () => {
    for (let n = 0; n < 200; n++) await spool.maintain()
    isTouching = false
  })()
  let read = 0
  for (; isTouching || read === 0; read++) assert.equal(JSON.parse(await readFile(path, 'utf8')).id, spool.id)
  await touching
  assert.deepEqual(await readdir(join(root, spool.id)), ['owner.json'])
})

test('a spool is adopted at once although its owner was killed while it replaced the file that names it', async (t) => {
  const root = await scratchDir(t)
  const dead = join(root, 'dead')
  await mkdir(dead)
  await writeFile(
    join(dead, 'owner.json'),
    JSON.stringify({ id: 'dead', host: hostname(), pid: 1, startedAt: 'before' }),
  )
  await writeFile(join(dead, 'owner.next.json'), '')
  await writeFile(join(dead, '0000000001.spool'), record(1))
  const spool = await openSpool({ root, parentMode: 0o700, limits, log: { info() {}, error() {} } })
  t.after(() => spool.close())
  assert.deepEqual(await spool.maintain(), ['dead'])
  assert.equal(spool.backlog().records, 1)
})

test('a damaged file is kept after its readable part is stored; one with only a torn end is not', async (t) => {
  const [first, second] = [record(1), record(2)]
  const damaged = Buffer.from(second)
  damaged.writeUInt8(damaged.readUInt8(40) ^ 1, 40)
  const files: [string, Buffer, boolean][] = [
    ['torn', Buffer.concat([first, second.subarray(0, 50)]), false],
    ['torn in its head', Buffer.concat([first, second.subarray(0, 3)]), false],
    ['longer than what was written', Buffer.concat([first, Buffer.alloc(500)]), false],
    ['damaged', Buffer.concat([damaged, first]), true],
    ['damaged at its end', Buffer.concat([first, damaged]), true],
    ['damaged and torn', Buffer.concat([damaged, first, second.subarray(0, 50)]), true],
    ['of another version', Buffer.concat([first, Buffer.from('FLS7'), second.subarray(4)]), true],
  ]
  for (const [what, bytes, isKept] of files) {
    const root = await scratchDir(t)
    await mkdir(join(root, 'abandoned'))
    await writeFile(join(root, 'abandoned', '0000000001.spool'), bytes)
    await utimes(join(root, 'abandoned'), 0, 0)
    const spool = await openSpool({ root, parentMode: 0o700, limits, log: { info() {}, error() {} } })
    await spool.maintain()
    const records: SpoolRecord[] = []
    while (await spool.replay(async (some) => void records.push(...some)));
    assert.equal(records.length, 1, what)
    const kept = await readdir(join(root, 'unreadable')).catch(() => [])
    assert.deepEqual(kept, isKept ? ['abandoned-0000000001.spool'] : [], what)
    await spool.close()
  }
})
