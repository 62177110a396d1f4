// Objects in a bucket: small ones as buffers, large ones as streams, which neither end holds in memory.

import { createHash } from 'node:crypto'
import { createStorageClient, isMissing, StorageError, type StorageSettings } from './client.ts'

export type StoredObject = { key: string; size: number }
export type Uploaded = { bytes: number; sha256: string }
export type ObjectStorage = ReturnType<typeof createObjectStorage>

/** S3 takes at most 10,000 parts of at least 5 MiB. The parts grow, so that a small object needs little memory. */
const firstPartBytes = 8 * 1024 * 1024
const partsOfOneSize = 1000
const partsMax = 10_000
const listMax = 1_000_000
const resumesMax = 10

export function createObjectStorage(settings: StorageSettings, { signal }: { signal: AbortSignal }) {
  const { request } = createStorageClient(settings, { signal })

  /** The values of headers that `put` was given as `meta`, or null if there is no such object. */
  async function head(key: string): Promise<Headers | null> {
    try {
      return (await request({ method: 'HEAD', key })).headers
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  async function putPart(key: string, uploadId: string, number: number, body: Uint8Array<ArrayBuffer>) {
    const query = { partNumber: String(number), uploadId }
    const { headers } = await request({ method: 'PUT', key, query, body })
    return `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(headers.get('etag') ?? '')}</ETag></Part>`
  }

  async function complete(key: string, uploadId: string, parts: readonly string[], bytes: number): Promise<void> {
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`)
    try {
      const response = await request({ method: 'POST', key, query: { uploadId }, body })
      // The storage sends the status before it is done.
      const code = /<Error>[\s\S]*<Code>([^<]+)/.exec(await response.text())?.[1]
      if (code !== undefined) throw new StorageError(`the storage did not join the parts: ${code}`, { code })
    } catch (error) {
      // The first answer was lost, and the second says that there is no such upload any more.
      if (Number((await head(key))?.get('content-length')) !== bytes) throw error
    }
  }

  return {
    head,

    async put(key: string, body: Uint8Array<ArrayBuffer>, meta: Record<string, string> = {}): Promise<void> {
      await request({ method: 'PUT', key, headers: toHeaders(meta), body })
    },

    /** Uploads a stream of any length. An upload that fails leaves no object. */
    async upload(key: string, source: AsyncIterable<Buffer>): Promise<Uploaded> {
      const hash = createHash('sha256')
      let bytes = 0
      let uploadId: string | undefined
      const parts: string[] = []
      try {
        for await (const part of inParts(source)) {
          hash.update(part)
          bytes += part.length
          uploadId ??= await begin(key)
          if (parts.length === partsMax) throw new Error(`${key} is larger than an object can be`)
          parts.push(await putPart(key, uploadId, parts.length + 1, part))
        }
        if (uploadId === undefined) throw new Error(`there is nothing to upload as ${key}`)
        await complete(key, uploadId, parts, bytes)
      } catch (error) {
        if (uploadId) await request({ method: 'DELETE', key, query: { uploadId } }).catch(() => undefined)
        throw error
      }
      return { bytes, sha256: hash.digest('hex') }
    },

    /** Reads on where a connection broke. */
    async *read(key: string): AsyncGenerator<Buffer> {
      let offset = 0
      let etag: string | undefined
      for (let resumes = 0; ; resumes++) {
        const headers: Record<string, string> =
          offset === 0 ? {} : { range: `bytes=${offset}-`, ...(etag && { 'if-match': etag }) }
        const response = await request({ method: 'GET', key, headers })
        etag = response.headers.get('etag') ?? undefined
        const end = offset + Number(response.headers.get('content-length'))
        try {
          for await (const chunk of response.body ?? []) {
            offset += chunk.length
            yield Buffer.from(chunk)
          }
        } catch (error) {
          if (signal.aborted || resumes === resumesMax) throw error
        }
        if (offset >= end) return
        if (resumes === resumesMax) throw new StorageError(`${key} ended at ${offset} of ${end} bytes`, {})
      }
    },

    /** In the order of their keys. */
    async *list(prefix: string): AsyncGenerator<StoredObject> {
      let token: string | undefined
      let count = 0
      do {
        const query = { 'list-type': '2', prefix, ...(token && { 'continuation-token': token }) }
        const text = await (await request({ method: 'GET', query })).text()
        for (const [, entry = ''] of text.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)) {
          if (++count > listMax) throw new Error(`more than ${listMax} objects below ${prefix}`)
          yield { key: readXml(entry, 'Key'), size: Number(readXml(entry, 'Size')) }
        }
        token = readXml(text, 'NextContinuationToken') || undefined
      } while (token)
    },

    async remove(key: string): Promise<void> {
      await request({ method: 'DELETE', key })
    },
  }

  async function begin(key: string): Promise<string> {
    const text = await (await request({ method: 'POST', key, query: { uploads: '' } })).text()
    const id = readXml(text, 'UploadId')
    if (id === '') throw new StorageError('the storage began no upload', {})
    return id
  }
}

async function* inParts(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer<ArrayBuffer>> {
  let chunks: Buffer[] = []
  let size = 0
  let made = 0
  for await (const chunk of source) {
    chunks.push(chunk)
    size += chunk.length
    if (size < firstPartBytes * (1 + Math.floor(made / partsOfOneSize))) continue
    yield Buffer.concat(chunks)
    made++
    chunks = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(chunks)
}

function toHeaders(meta: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(meta).map(([name, value]) => [`x-amz-meta-${name}`, value]))
}

/** The answers of S3 have no attributes on these elements; keys of backups have no character that XML escapes. */
function readXml(text: string, element: string): string {
  const found = new RegExp(`<${element}>([^<]*)</${element}>`).exec(text)?.[1] ?? ''
  return found.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
