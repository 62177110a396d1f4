import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isBefore, nameOfSegment, targetTime } from '../../src/database/backup/wal.ts'
import { createObjectStorage } from '../../src/object-storage/objects.ts'
import { createArchive } from '../../src/wal-archive/archive.ts'
import { prune } from '../../src/wal-archive/base.ts'
import { chooseBase } from '../../src/wal-archive/recover.ts'
import { scratchDir } from '../helper.ts'
import { type Bucket, settingsOf, startBucket } from '../object-storage/bucket.ts'
import { createDatabase } from '../postgres.ts'
import { flatline, run } from '../scenarios/command.ts'

const system = '7713763336115804012'

function open(bucket: Bucket) {
  const storage = createObjectStorage(settingsOf(bucket), { signal: new AbortController().signal })
  return { storage, archive: createArchive({ storage, prefix: 'flatline' }) }
}

const base = (name: string, startSegment: string, endedAt: string) => ({
  ...{ format: 1 as const, system, serverVersion: '15.14', startSegment, startedAt: endedAt, endedAt },
  ...{ bytes: 1, sha256: '0'.repeat(64), name },
})

test('segments are named by timeline and location, for every size of segment', () => {
  assert.equal(nameOfSegment(1, '0/2000028', '16MB'), '000000010000000000000002')
  assert.equal(nameOfSegment(26, '1A/FF000000', '16MB'), '0000001A0000001A000000FF')
  assert.equal(nameOfSegment(1, '0/2000028', '1MB'), '000000010000000000000020')
  assert.equal(nameOfSegment(1, '3/80000000', '1GB'), '000000010000000300000002')
  assert.throws(() => nameOfSegment(1, 'nowhere', '16MB'))
  assert.ok(isBefore('000000020000000000000002', '000000010000000000000003'), 'whatever the timeline')
  assert.equal(targetTime(new Date(1_800_000_000_000)), '2027-01-15 08:00:00.000+00')
})

test('the log is archived once, and neither overwritten nor read when damaged', async (t) => {
  const bucket = await startBucket(t)
  const { archive } = open(bucket)
  const name = '000000010000000000000002'
  const content = Buffer.alloc(1_000_000, 7)
  await archive.push(system, name, content)
  await archive.push(system, name, content)
  assert.equal(bucket.requests.filter((line) => line.startsWith('PUT')).length, 1)
  await assert.rejects(archive.push(system, name, Buffer.from('other')), /there already with other contents/)
  await assert.rejects(archive.push(system, '../../etc/passwd', content), /not a file of the write-ahead log/)
  assert.ok((await archive.fetch(system, name))?.content.equals(content))
  assert.equal(await archive.fetch(system, '000000010000000000000003'), null)
  await archive.push(system, '000000010000000000000004', Buffer.from('other'))
  const [one, other] = [archive.walKey(system, name), archive.walKey(system, '000000010000000000000004')]
  bucket.objects.set(one, { ...bucket.objects.get(one)!, body: bucket.objects.get(other)!.body })
  await assert.rejects(archive.fetch(system, name), /is damaged/)
})

test('old base backups go with the log before them, and the newest stay however old', async (t) => {
  const bucket = await startBucket(t)
  const { archive, storage } = open(bucket)
  for (const [name, segment] of [
    ['20260101T000000Z', '03'],
    ['20260102T000000Z', '05'],
    ['20260103T000000Z', '07'],
  ] as const) {
    const { name: _, ...manifest } = base(name, `0000000100000000000000${segment}`, '2026-01-01T00:00:00Z')
    await storage.put(archive.manifestKey(system, name), Buffer.from(JSON.stringify(manifest)))
    await storage.put(archive.baseKey(system, name), Buffer.from('x'))
  }
  for (const n of ['02', '03', '04', '05', '06'])
    await archive.push(system, `0000000100000000000000${n}`, Buffer.from(n))
  await archive.push(system, '00000002.history', Buffer.from('1'))
  await storage.put('flatline/1/wal/000000010000000000000001.gz', Buffer.from('of another database'))
  const now = Date.parse('2027-01-01')
  const kept = { system, keep: 2, keepDays: 30 }
  assert.deepEqual(await prune({ archive, storage }, { ...kept, keepDays: 1000 }, now), { bases: 0, segments: 1 })
  assert.deepEqual(await prune({ archive, storage }, kept, now), { bases: 1, segments: 2 })
  const left = [...bucket.objects.keys()].map((key) => key.split('/').slice(1).join('/')).sort()
  assert.deepEqual(left, [
    '1/wal/000000010000000000000001.gz',
    ...['20260102T000000Z', '20260103T000000Z'].flatMap((name) => [
      `${system}/base/${name}.json`,
      `${system}/base/${name}.tar.gz`,
    ]),
    ...['000000010000000000000005', '000000010000000000000006', '00000002.history'].map(
      (name) => `${system}/wal/${name}.gz`,
    ),
  ])
})

test('a recovery begins with the newest base backup that had ended at its target', () => {
  const bases = [
    base('20260101T000000Z', '', '2026-01-01T00:10:00Z'),
    base('20260102T000000Z', '', '2026-01-02T00:10:00Z'),
  ]
  assert.equal(chooseBase(bases, {}).name, '20260102T000000Z')
  assert.equal(chooseBase(bases, { until: new Date('2026-01-02T00:05:00Z') }).name, '20260101T000000Z')
  assert.equal(chooseBase(bases, { name: '20260101T000000Z' }).name, '20260101T000000Z')
  assert.throws(() => chooseBase(bases, { until: new Date('2026-01-01T00:05:00Z') }), /no base backup is old enough/)
  assert.throws(() => chooseBase([...bases, { ...bases[1]!, system: '2' }], {}), /of several databases/)
})

test('a server of its own archives and restores its log by commands', async (t) => {
  const bucket = await startBucket(t)
  const cluster = await scratchDir(t)
  await mkdir(join(cluster, 'global'))
  const control = Buffer.alloc(16)
  control.writeBigUInt64LE(BigInt(system))
  await writeFile(join(cluster, 'global/pg_control'), control)
  const name = '00000001000000000000000A'
  await writeFile(join(cluster, name), 'the log')
  const cli = [process.execPath, join(import.meta.dirname, '../../src/cli.ts'), 'archive'] as const
  const at = (...args: string[]) => run(t, [...cli, ...args], bucket.env, '', cluster)
  const pushed = await at('push', name)
  assert.equal(pushed.code, 0, pushed.err)
  assert.ok(bucket.objects.has(`flatline/${system}/wal/${name}.gz`))
  assert.equal((await at('fetch', name, 'restored')).code, 0)
  assert.equal(await readFile(join(cluster, 'restored'), 'utf8'), 'the log')
  assert.equal((await at('fetch', '00000001000000000000000B', 'restored')).code, 1, 'not in the archive')
  // PostgreSQL would end the recovery here if it were told that there is no more.
  bucket.fault = (_, response) => {
    response.writeHead(403).end()
    return true
  }
  assert.equal((await at('fetch', '00000001000000000000000B', 'restored')).code, 200)
})

test('flatline backup s3: writes into the bucket, and restore reads the newest', async (t) => {
  const bucket = await startBucket(t)
  const env = { ...bucket.env, DATABASE_URL: await createDatabase(t) }
  const written = await run(t, flatline('backup', 's3:'), env)
  assert.equal(written.code, 0, written.err)
  const [key = ''] = [...bucket.objects.keys()]
  assert.match(key, /^flatline\/dumps\/flatline-\d{8}T\d{6}Z\.gz$/)
  bucket.objects.set(key.replace(/\d{8}T/, '20200101T'), { body: Buffer.from('an older one'), meta: {} })
  const verified = await run(t, flatline('restore', '--verify', 's3:latest'), env)
  assert.equal(verified.code, 0, verified.err)
  assert.match(verified.err, /is whole/)
})
