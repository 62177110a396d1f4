// A bucket in memory. It speaks the part of S3 that backups use, and refuses as S3 does what is not signed exactly. It
// checks signatures by what arrived, with no code of the client.

import { createHash, createHmac, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

type Stored = { body: Buffer; meta: Record<string, string> }
type Fault = (request: { method: string; key: string; query: URLSearchParams }, response: ServerResponse) => boolean

export type Bucket = {
  endpoint: string
  objects: Map<string, Stored>
  /** Parts of uploads that were neither joined nor given up. */
  uploads: Map<string, Map<number, Buffer>>
  requests: string[]
  /** Called before each request; true if it has answered. */
  fault: Fault
  env: Record<string, string>
}

const accessKeyId = 'AKIDTEST'
const secretAccessKey = 'secret/of+the/bucket'
const bucketName = 'backups'
const region = 'eu-test-1'
/** So that lists have pages. */
const pageSize = 3

export async function startBucket(t: Pick<TestContext, 'after'>): Promise<Bucket> {
  const bucket: Bucket = {
    endpoint: '',
    objects: new Map(),
    uploads: new Map(),
    requests: [],
    fault: () => false,
    env: {},
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    answer(bucket, request, Buffer.concat(chunks), response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  bucket.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  bucket.env = {
    BACKUP_S3_BUCKET: bucketName,
    BACKUP_S3_ENDPOINT: bucket.endpoint,
    BACKUP_S3_REGION: region,
    BACKUP_S3_ACCESS_KEY_ID: accessKeyId,
    BACKUP_S3_SECRET_ACCESS_KEY: secretAccessKey,
  }
  return bucket
}

export const settingsOf = ({ endpoint }: Bucket) => ({
  endpoint,
  bucket: bucketName,
  region,
  accessKeyId,
  secretAccessKey,
})

function answer(bucket: Bucket, request: IncomingMessage, body: Buffer, response: ServerResponse) {
  const { method = '', url = '' } = request
  const { pathname, searchParams: query } = new URL(url, 'http://x')
  const [, name, ...rest] = decodeURIComponent(pathname).split('/')
  const key = rest.join('/')
  bucket.requests.push(`${method} ${url}`)
  const problem = verify(request, body)
  if (problem) return fail(response, 403, problem)
  if (bucket.fault({ method, key, query }, response)) return
  if (name !== bucketName) return fail(response, 404, 'NoSuchBucket')
  if (method === 'GET' && key === '') return list(bucket, query, response)
  if (query.has('uploads') || query.has('uploadId')) return multipart(bucket, { method, key, query, body }, response)
  if (method === 'PUT') {
    bucket.objects.set(key, { body, meta: metaOf(request) })
    return void response.setHeader('etag', tag(body)).end()
  }
  if (method === 'DELETE') {
    bucket.objects.delete(key)
    return void response.writeHead(204).end()
  }
  read(bucket, key, request, response)
}

function read({ objects }: Bucket, key: string, request: IncomingMessage, response: ServerResponse) {
  const found = objects.get(key)
  if (!found) return fail(response, 404, 'NoSuchKey')
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const condition = request.headers['if-match']
  if (condition !== undefined && condition !== tag(found.body)) return fail(response, 412, 'PreconditionFailed')
  for (const [name, value] of Object.entries(found.meta)) response.setHeader(name, value)
  const body = found.body.subarray(from)
  response.writeHead(from > 0 ? 206 : 200, { etag: tag(found.body), 'content-length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function list({ objects }: Bucket, query: URLSearchParams, response: ServerResponse) {
  const prefix = query.get('prefix') ?? ''
  const after = query.get('continuation-token') ?? ''
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort()
  const page = keys.slice(0, pageSize)
  const entries = page.map((key) => {
    const size = objects.get(key)?.body.length
    return `<Contents><Key>${key}</Key><ETag>&quot;x&quot;</ETag><Size>${size}</Size></Contents>`
  })
  const next = keys.length > pageSize ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
  response.end(`<?xml version="1.0"?><ListBucketResult>${entries.join('')}${next}</ListBucketResult>`)
}

function multipart(
  { objects, uploads }: Bucket,
  { method, key, query, body }: { method: string; key: string; query: URLSearchParams; body: Buffer },
  response: ServerResponse,
) {
  if (query.has('uploads')) {
    const id = randomUUID()
    uploads.set(id, new Map())
    return void response.end(
      `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    )
  }
  const id = query.get('uploadId') ?? ''
  const parts = uploads.get(id)
  if (!parts) return fail(response, 404, 'NoSuchUpload')
  if (method === 'PUT') {
    parts.set(Number(query.get('partNumber')), body)
    return void response.setHeader('etag', tag(body)).end()
  }
  uploads.delete(id)
  if (method === 'DELETE') return void response.writeHead(204).end()
  const named = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>&quot;(\w+)&quot;<\/ETag>/g)]
  const joined = named.map(([, number, etag]) => {
    const part = parts.get(Number(number))
    return part && tag(part) === `"${etag}"` ? part : undefined
  })
  const isWhole = joined.length === parts.size && joined.every((part) => part !== undefined)
  if (!isWhole) return fail(response, 400, 'InvalidPart')
  objects.set(key, { body: Buffer.concat(joined as Buffer[]), meta: {} })
  response.end('<CompleteMultipartUploadResult/>')
}

/** The code of S3 for what is wrong with the signature, if anything is. */
function verify({ method, url = '', headers, rawHeaders }: IncomingMessage, body: Buffer): string | undefined {
  const given =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    )
  if (!given) return 'AuthorizationHeaderMalformed'
  const [, id, day = '', scopeRegion = '', names = '', signature] = given
  if (id !== accessKeyId) return 'InvalidAccessKeyId'
  if (scopeRegion !== region) return 'AuthorizationHeaderMalformed'
  const hash = createHash('sha256').update(body).digest('hex')
  if (headers['x-amz-content-sha256'] !== hash) return 'XAmzContentSHA256Mismatch'
  const instant = String(headers['x-amz-date'])
  if (!instant.startsWith(day) || Math.abs(Date.now() - parseInstant(instant)) > 15 * 60_000)
    return 'RequestTimeTooSkewed'
  const signed = names.split(';')
  const sent = rawHeaders.filter((_, i) => i % 2 === 0).map((header) => header.toLowerCase())
  const due = ['host', ...sent.filter((header) => header.startsWith('x-amz-') || header === 'if-match')]
  if (due.some((header) => !signed.includes(header)) || [...signed].sort().join(';') !== names) return 'AccessDenied'
  const [path = '', query = ''] = url.split('?')
  const lines = [method, path, query.split('&').sort().join('&')]
  const canonical = [...lines, ...signed.map((header) => `${header}:${headers[header]}`), '', names, hash].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const text = `AWS4-HMAC-SHA256\n${instant}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`
  const mac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest()
  const key = mac(mac(mac(mac(`AWS4${secretAccessKey}`, day), region), 's3'), 'aws4_request')
  return mac(key, text).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch'
}

function parseInstant(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}

function metaOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (name.startsWith('x-amz-meta-') ? [[name, String(value)]] : [])),
  )
}

function tag(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`
}

function fail(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status).end(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`)
}
