// A client for the part of S3 that backups use. The official client would add 20 MB to the image for five calls; it and
// this one sign alike. Addresses have the bucket in their path, which every implementation understands.

import { setTimeout as sleep } from 'node:timers/promises'
import { retryDelayMs } from '../kit/backoff.ts'
import { type Credentials, encodeKey, sign } from './signature.ts'

export type StorageSettings = Credentials & { endpoint: string; bucket: string }

export type StorageRequest = {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  key?: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Uint8Array<ArrayBuffer>
}

/** `code` is that of the storage, or of the failed connection. */
export class StorageError extends Error {
  override name = 'StorageError'
  readonly status: number
  readonly code: string

  constructor(message: string, { status = 0, code = '', cause }: { status?: number; code?: string; cause?: unknown }) {
    super(message, { cause })
    this.status = status
    this.code = code
  }
}

const attempts = 6
const pauses = { baseMs: 200, maxMs: 10_000 }
/** For a part of 160 MB over a slow line. */
const requestTimeoutMs = 10 * 60_000
const errorMaxBytes = 64 * 1024
const noBody = new Uint8Array()

export function createStorageClient(settings: StorageSettings, { signal }: { signal: AbortSignal }) {
  const base = new URL(settings.endpoint)

  async function once({ method, key, query = {}, headers = {}, body }: StorageRequest): Promise<Response> {
    const url = new URL(base)
    url.pathname = `/${settings.bucket}${key === undefined ? '' : `/${encodeKey(key)}`}`
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const signed = sign({ method, url, headers, payload: body ?? noBody, at: Date.now() }, settings)
    const limit = AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)])
    const sent = { method, headers: signed, redirect: 'manual' as const, signal: limit }
    const response = await fetch(url, body === undefined ? sent : { ...sent, body }).catch((error: Error) => {
      throw toStorageError(error, base.host)
    })
    if (!response.ok) throw await refusal(response, settings.bucket)
    return response
  }

  return {
    /** Retries what may pass. Rejects with StorageError, or with the reason of the signal. */
    async request(request: StorageRequest): Promise<Response> {
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(request)
        } catch (error) {
          signal.throwIfAborted()
          if (attempt === attempts || !(error instanceof StorageError) || !mayPass(error)) throw error
          await sleep(retryDelayMs(pauses, attempt, Math.random()), undefined, { signal })
        }
      }
    },
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof StorageError && error.status === 404 && error.code !== 'NoSuchBucket'
}

function mayPass({ status, code }: StorageError): boolean {
  return status === 0 || status === 429 || status >= 500 || code === 'RequestTimeout'
}

function toStorageError(error: Error, host: string): StorageError {
  const { code = '', name } = (error.cause ?? error) as { code?: string; name: string }
  return new StorageError(`the storage at ${host} cannot be reached: ${code || name}`, { code, cause: error })
}

async function refusal(response: Response, bucket: string): Promise<StorageError> {
  const { status } = response
  const text = response.body === null ? '' : (await response.text().catch(() => '')).slice(0, errorMaxBytes)
  const code = /<Code>([^<]{1,100})<\/Code>/.exec(text)?.[1] ?? ''
  const explained = explanations[code] ?? (status >= 300 && status < 400 ? explanations.PermanentRedirect : undefined)
  const what = [status, code].filter(Boolean).join(' ')
  return new StorageError(`the storage answers ${what} for bucket ${bucket}${explained ? `: ${explained}` : ''}`, {
    status,
    code,
  })
}

const explanations: Record<string, string> = {
  AuthorizationHeaderMalformed: 'set BACKUP_S3_REGION to the region of the bucket',
  PermanentRedirect: 'set BACKUP_S3_REGION and BACKUP_S3_ENDPOINT to those of the bucket',
  SignatureDoesNotMatch: 'BACKUP_S3_SECRET_ACCESS_KEY is not the secret of the access key',
  InvalidAccessKeyId: 'BACKUP_S3_ACCESS_KEY_ID is unknown',
  RequestTimeTooSkewed: 'the clock of this machine is wrong',
  NoSuchBucket: 'create it, or set BACKUP_S3_BUCKET',
}
