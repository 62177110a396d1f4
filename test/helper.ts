// What tests share: the whole app on a database of its own, and a fake destination. patience.ts says how they wait.

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../src/app.ts'
import { loadConfig } from '../src/config/load.ts'
import { createDatabase } from './postgres.ts'

export { eventually } from './patience.ts'

export const keys = {
  api_key: 'test-api-key-00000000000000000000',
  api_key_readonly: 'test-read-only-key-0000000000000',
  ping_key: 'test-ping-key-00000000',
}
keys.api_key = keys.api_key.slice(0, 32)
keys.api_key_readonly = keys.api_key_readonly.slice(0, 32)
export const adminToken = 'test-admin-token-000000000000000000'

type Scope = Pick<TestContext, 'after'>

/** A temporary directory that goes with the test. */
export async function scratchDir(t: Scope): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'flatline-'))
  // What still runs may write into it; what is left goes with the temporary directory of the file.
  t.after(() => rm(dir, { recursive: true, force: true }).catch(() => undefined))
  return dir
}

export type Answer = { status: number; headers: Headers; text: string; json: () => Record<string, unknown> }

export type Running = {
  app: FastifyInstance
  url: string
  databaseUrl: string
  call: (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>
}

/** The whole service in this process, listening on a free port, with the keys above; closes itself. */
export async function build(
  t: Scope,
  env: Record<string, string> = {},
  observe?: (app: FastifyInstance) => void,
): Promise<Running> {
  const databaseUrl = env.DATABASE_URL ?? (await createDatabase(t))
  const config = loadConfig({
    env: {
      PORT: '0',
      DATA_DIR: await scratchDir(t),
      LOG_LEVEL: 'silent',
      DRAIN_MS: '0',
      FLATLINE__DATABASE__POOL_MAX: '10',
      // A busy machine would shed management calls, which is not under test here.
      FLATLINE__LIMITS__MAX_EVENT_LOOP_DELAY_MS: '0',
      ADMIN_TOKEN: adminToken,
      BOOTSTRAP_API_KEY: keys.api_key,
      BOOTSTRAP_API_KEY_READONLY: keys.api_key_readonly,
      BOOTSTRAP_PING_KEY: keys.ping_key,
      ...env,
      DATABASE_URL: databaseUrl,
    },
  })
  const app = await buildApp({ config, ...(observe && { observe }) })
  await app.listen({ host: config.server.host, port: config.server.port })
  t.after(() => app.close())
  await app.lifecycle.start()
  const url = app.siteUrl()
  return { app, url, databaseUrl, call: (...args) => call(url, ...args) }
}

/** An HTTP call with the read-write key, unless headers say otherwise. */
export async function call(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = { 'x-api-key': keys.api_key },
): Promise<Answer> {
  const content = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  const typed = typeof body === 'object' ? { 'content-type': 'application/json', ...headers } : headers
  const response = await fetch(url + path, {
    method,
    headers: typed,
    redirect: 'manual',
    ...(content === undefined ? {} : { body: content }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) }
}

export type Received = { method: string; url: string; headers: IncomingMessage['headers']; body: string; at: number }

/** A fake destination: an HTTP server that keeps what it receives and answers as `respond` says (200 by default). */
export async function createReceiver(
  t: Scope,
  respond: (request: Received, count: number) => number = () => 200,
): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const entry = { method, url, headers, body: Buffer.concat(chunks).toString(), at: Date.now() }
      received.push(entry)
      response.writeHead(respond(entry, received.length)).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}
