import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createObjectStorage } from '../../src/object-storage/objects.ts'
import { sign } from '../../src/object-storage/signature.ts'
import { settingsOf, startBucket } from './bucket.ts'

const open = (bucket: Parameters<typeof settingsOf>[0], more = {}) =>
  createObjectStorage({ ...settingsOf(bucket), ...more }, { signal: new AbortController().signal })

async function* pieces(content: Buffer, size: number) {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size)
}

async function readAll(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** "Example: GET Object" of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
test('a request is signed as in the documentation of S3', () => {
  const { authorization } = sign(
    {
      method: 'GET',
      url: new URL('https://examplebucket.s3.amazonaws.com/test.txt'),
      headers: { range: 'bytes=0-9' },
      payload: new Uint8Array(),
      at: Date.parse('2013-05-24T00:00:00Z'),
    },
    {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      region: 'us-east-1',
    },
  )
  assert.match(authorization ?? '', /Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/)
})

test('objects are stored, found, listed over pages, and removed', async (t) => {
  const bucket = await startBucket(t)
  const storage = open(bucket)
  const keys = ['a/1', 'a/2', 'a/3', 'a/4', "a/odd name (5)!*'+~", 'b/1']
  for (const key of keys) await storage.put(key, Buffer.from(key), { sha256: 'x' })
  assert.equal((await storage.head('a/1'))?.get('x-amz-meta-sha256'), 'x')
  assert.equal(await storage.head('a/9'), null)
  assert.equal((await readAll(storage.read(keys[4] ?? ''))).toString(), keys[4])
  const listed = []
  for await (const { key, size } of storage.list('a/')) listed.push([key, size])
  assert.deepEqual(
    listed,
    keys.slice(0, 5).map((key) => [key, key.length]),
  )
  await storage.remove('a/1')
  assert.equal(bucket.objects.has('a/1'), false)
})

test('a stream is stored in parts, also when the storage fails in between and answers are lost', async (t) => {
  const bucket = await startBucket(t)
  const content = randomBytes(20 * 1024 * 1024)
  const faults: Record<string, number> = {}
  bucket.fault = ({ method, query }, response) => {
    const kind = `${method} ${query.get('partNumber') ?? [...query.keys()].join()}`
    faults[kind] = (faults[kind] ?? 0) + 1
    // Each kind of request fails once, in one of three ways.
    if (faults[kind] > 1 || method === 'HEAD') return false
    if (kind === 'PUT 1') response.destroy()
    else if (kind === 'PUT 2') response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>')
    else if (kind === 'POST uploadId') {
      // It is joined, and nobody learns of it.
      const [id, parts] = [...bucket.uploads][0] ?? ['', new Map<number, Buffer>()]
      bucket.objects.set('big', { body: Buffer.concat([...parts.values()]), meta: {} })
      bucket.uploads.delete(id)
      response.destroy()
    } else return false
    return true
  }
  const { bytes, sha256 } = await open(bucket).upload('big', pieces(content, 100_000))
  assert.equal(bytes, content.length)
  assert.equal(sha256, createHash('sha256').update(content).digest('hex'))
  assert.ok(bucket.objects.get('big')?.body.equals(content))
  assert.equal(bucket.uploads.size, 0)
})

test('an upload that fails leaves no object and no parts', async (t) => {
  const bucket = await startBucket(t)
  async function* broken() {
    yield randomBytes(9 * 1024 * 1024)
    throw new Error('the source broke')
  }
  await assert.rejects(open(bucket).upload('half', broken()), /the source broke/)
  assert.deepEqual([bucket.objects.size, bucket.uploads.size], [0, 0])
})

test('a download goes on where its connection broke, and not with another object', async (t) => {
  const bucket = await startBucket(t)
  const content = randomBytes(3_000_000)
  const storage = open(bucket)
  await storage.put('one', content)
  let breaks = 0
  bucket.fault = ({ method }, response) => {
    if (method !== 'GET' || breaks++ > 0) return false
    response.writeHead(200, {
      'content-length': content.length,
      etag: `"${createHash('md5').update(content).digest('hex')}"`,
    })
    response.write(content.subarray(0, 1_000_000), () => setImmediate(() => response.destroy()))
    return true
  }
  assert.ok((await readAll(storage.read('one'))).equals(content))
  assert.equal(breaks, 2)

  breaks = 0
  const reading = storage.read('one')
  await reading.next()
  bucket.objects.set('one', { body: randomBytes(3_000_000), meta: {} })
  await assert.rejects(readAll(reading), /412/)
})

test('a refusal is explained, is not retried and contains no secret', async (t) => {
  const bucket = await startBucket(t)
  const refusals: [object, RegExp][] = [
    [{ secretAccessKey: 'another-secret' }, /403 SignatureDoesNotMatch.*BACKUP_S3_SECRET_ACCESS_KEY/],
    [{ accessKeyId: 'another' }, /InvalidAccessKeyId.*BACKUP_S3_ACCESS_KEY_ID/],
    [{ region: 'elsewhere' }, /AuthorizationHeaderMalformed.*BACKUP_S3_REGION/],
    [{ bucket: 'missing' }, /404 NoSuchBucket.*BACKUP_S3_BUCKET/],
  ]
  for (const [wrong, message] of refusals) {
    bucket.requests.length = 0
    await assert.rejects(readAll(open(bucket, wrong).read('a')), (error: Error) => {
      assert.match(error.message, message)
      assert.doesNotMatch(error.message, /another/)
      return true
    })
    assert.equal(bucket.requests.length, 1)
  }
})
