// Signature version 4 of Amazon Web Services, which S3-compatible storage asks for:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
// The payload is part of the signature, so that the storage refuses what was changed on the way.

import { createHash, createHmac } from 'node:crypto'

export type Credentials = { accessKeyId: string; secretAccessKey: string; region: string }

/** `url` has an encoded path, as `encodeKey` makes it; `headers` have lower-case names and no `host`. */
export type Unsigned = { method: string; url: URL; headers: Record<string, string>; payload: Uint8Array; at: number }

/** The headers of the request, with those of the signature. */
export function sign(request: Unsigned, { accessKeyId, secretAccessKey, region }: Credentials): Record<string, string> {
  const instant = new Date(request.at).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const day = instant.slice(0, 8)
  const payloadHash = createHash('sha256').update(request.payload).digest('hex')
  const headers = { ...request.headers, 'x-amz-content-sha256': payloadHash, 'x-amz-date': instant }
  const signed = Object.entries({ ...headers, host: request.url.host }).sort(byName)
  const names = signed.map(([name]) => name).join(';')
  const canonical = [
    request.method,
    request.url.pathname,
    [...request.url.searchParams]
      .map(([name, value]): [string, string] => [encode(name), encode(value)])
      .sort(byName)
      .map(([name, value]) => `${name}=${value}`)
      .join('&'),
    ...signed.map(([name, value]) => `${name}:${value.trim()}`),
    '',
    names,
    payloadHash,
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const text = ['AWS4-HMAC-SHA256', instant, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`)
  const signature = hmac(key, text).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
  return { ...headers, authorization }
}

/** The path of an object in its address. */
export function encodeKey(key: string): string {
  return key.split('/').map(encode).join('/')
}

/** Unlike encodeURIComponent, as RFC 3986 has it. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function byName([a]: [string, string], [b]: [string, string]): number {
  return a < b ? -1 : Number(a > b)
}
