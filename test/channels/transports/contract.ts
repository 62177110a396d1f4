// What tests of transports share: messages, a fake destination that answers like the real one, and the meaning of
// every answer.

import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { DeliveryError, type SendContext, type Sent, type Transport } from '../../../src/channels/wire/transport.ts'
import type { CheckView } from '../../../src/checks/view.ts'
import { type CheckMessage, incidentKey, type NoticeMessage, testMessage } from '../../../src/messages/message.ts'
import { createGuardedFetch, FetchError } from '../../../src/outbound/guarded-fetch.ts'
import { detectKind } from '../../../src/schedule/schedule.ts'

const uuid = '1b6a8d0e-8c3f-4f0a-9d5e-0d6f3a2b1c0d'
const api = 'https://flatline.example/api/v3/checks/1b6a8d0e'
export const now = Date.parse('2026-11-22T22:15:00Z')
export const incident = incidentKey(uuid, 7)

const check = viewOf({
  name: 'nightly backup',
  slug: 'nightly-backup',
  tags: 'prod db',
  desc: 'Runbook: https://wiki.example/backup',
  status: 'down',
  last_ping: '2026-11-22T20:05:00+00:00',
  next_ping: null,
  grace: 300,
  timeout: 3600,
  uuid,
})

type Fields = Record<string, string | number | boolean | null>

/** The view of a check with this document. */
export function viewOf(document: Fields): CheckView {
  const text = (name: string) => String(document[name] ?? '')
  const instant = (name: string) => (document[name] ? Date.parse(text(name)) : null)
  const calendar = text('schedule')
  return {
    ...{ id: text('uuid'), name: text('name'), slug: text('slug'), tags: text('tags'), desc: text('desc') },
    severity: null,
    schedule:
      calendar === ''
        ? { kind: 'simple', timeoutS: Number(document.timeout ?? 86_400) }
        : { kind: detectKind(calendar), schedule: calendar, tz: text('tz') },
    graceS: Number(document.grace ?? 0),
    status: (document.status ?? 'down') as CheckView['status'],
    started: false,
    lastPing: instant('last_ping'),
    nextPing: instant('next_ping'),
    document: (status) => ({ ...document, status }),
  }
}

/** The same check with other values in its document. */
export const changed = (view: CheckView, fields: Fields): CheckView =>
  viewOf({ ...view.document(view.status), ...fields })

export const down: CheckMessage = {
  event: 'down',
  check,
  flip: { at: '2026-11-22T21:10:00.123+00:00', from: 'up', to: 'down', reason: 'exit 3' },
  incident,
  delivery: { id: '5f0c9f6e-6d0e-4d0b-8a51-0f5f1f0f9a11', attempt: 1 },
  links: { check: api },
  lastPing: { body: Buffer.from('copying…\n\u001b[31mdisk full\u001b[0m\n'), exitStatus: 3 },
}

export const up: CheckMessage = {
  ...down,
  event: 'up',
  check: changed(check, {
    status: 'up',
    last_ping: '2026-11-22T22:14:00+00:00',
    next_ping: '2026-11-22T23:14:00+00:00',
  }),
  flip: { at: '2026-11-22T22:14:00.000+00:00', from: 'down', to: 'up', reason: 'recovered' },
  outage: { at: '2026-11-22T21:10:00.123+00:00', reason: 'exit 3' },
  delivery: { id: '6a0c9f6e-6d0e-4d0b-8a51-0f5f1f0f9a12', attempt: 1 },
  lastPing: { body: null, exitStatus: 0 },
}

/** As much as a check can have of everything, in characters that are long however they are counted. */
export const huge: CheckMessage = {
  ...down,
  check: changed(check, {
    name: '😀'.repeat(50),
    tags: '"<&>*_`" '.repeat(55),
    desc: '"<&>*_`[😀'.repeat(300),
  }),
  lastPing: { body: Buffer.from('"<&>*_`[😀'.repeat(20_000)), exitStatus: 3 },
}

/** A text as long as a channel's owner may write one. */
export const hugeBody = { body: '"<&>*_`[😀'.repeat(444) }

/** What a job or its owner could write in order to be taken for markup, or to call everybody. */
export const hostile: CheckMessage = {
  ...down,
  check: changed(check, {
    name: '<!channel> @everyone <b>*bold*</b> [x](http://evil.example) @**all** </Say>&"',
    tags: '@all <users/all> `x`',
    desc: '@here ``` <script>alert(1)</script>',
  }),
  lastPing: { body: Buffer.from('``` <!here> </pre><script> @channel ```'), exitStatus: 1 },
}

export const notice: NoticeMessage = {
  event: 'notice',
  notice: {
    severity: 'warning',
    at: '2026-11-22T22:00:00.000+00:00',
    title: 'Channel ops was switched off',
    text: 'Alerts cannot be sent there any more.',
  },
  incident: 'flatline-channel-1',
  delivery: { id: '7a0c9f6e-6d0e-4d0b-8a51-0f5f1f0f9a13', attempt: 1 },
}

export const tried = testMessage({
  deliveryId: '8a0c9f6e-6d0e-4d0b-8a51-0f5f1f0f9a14',
  at: '2026-11-22T22:00:00.000+00:00',
  siteUrl: 'https://flatline.example',
})

export type Reply = { status?: number; headers?: Record<string, string>; body?: unknown }
export type Asked = { method: string; url: string; headers: IncomingHttpHeaders; body: string }

/** Answers every request as `reply` says, 200 without a body by default. */
export async function fakeDestination(
  t: Pick<TestContext, 'after'>,
  reply: (asked: Asked, count: number) => Reply | 'hang' | 'reset' = () => ({}),
): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = '', url = '', headers } = request
    asked.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
    const answer = reply(asked.at(-1) as Asked, asked.length)
    if (answer === 'hang') return
    if (answer === 'reset') return void request.socket.resetAndDestroy()
    const { status = 200, headers: own = {}, body = '' } = answer
    response.writeHead(status, own).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

export function contextWith(options: Partial<SendContext> = {}): SendContext {
  const { timeoutMs = 20_000, beforeSend = () => undefined, ...rest } = options
  const guarded = createGuardedFetch({
    allowPrivateTargets: true,
    timeoutMs,
    responseMaxBytes: 65_536,
    userAgent: 'Flatline/test',
  })
  const fetch: SendContext['fetch'] = (url, request) => guarded(url, { beforeSend, ...request })
  const capabilities = { smtp: null, shell: false }
  const { signal } = new AbortController()
  return { fetch, signal, now: () => now, timeoutMs, beforeSend, capabilities, ...rest }
}

export type Subject = {
  transport: Transport
  /** `url` is the destination's. */
  settings: (url: string) => object
  /** The real one's answer to what it takes. */
  taken: Reply
}

/** Sends one message, and returns the requests that the destination got. */
export async function asks(
  t: Pick<TestContext, 'after'>,
  { transport, settings, taken }: Subject,
  message: Parameters<Transport['send']>[0],
  own: object = {},
): Promise<Asked[]> {
  const { url, asked } = await fakeDestination(t, () => taken)
  const all = { ...settings(url), ...own }
  assert.equal(transport.problem?.(all as never), undefined)
  assert.equal(await transport.send(message, all as never, contextWith()), 'sent')
  return asked
}

export const json = (asked: readonly Asked[]) => JSON.parse(asked.at(-1)?.body ?? '')
export const form = (asked: readonly Asked[]) => Object.fromEntries(new URLSearchParams(asked.at(-1)?.body ?? ''))

type Meaning = {
  retryable?: boolean
  permanent?: boolean
  suspect?: boolean
  retryAfterMs?: number
  says?: RegExp
}

const proxyPages: [type: string, body: string][] = [
  [
    'text/html',
    '<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><center>nginx</center></body>\r\n</html>\r\n',
  ],
  ['text/html; charset=UTF-8', '<!DOCTYPE html><title>Attention Required! | Cloudflare</title><p>no_service'],
  ['text/plain; charset=utf-8', '404 page not found\n'],
  ['text/plain', 'no healthy upstream'],
  ['text/plain', ''],
  ['application/json', '{"message":"no Route matched with those values"}'],
  ['application/json', '{"message":"Forbidden"}'],
  [
    'application/json',
    '{"error":"not found","code":404,"status":404,"errors":"not found","errorCode":404,"result":"failure"}',
  ],
  ['application/json', 'null'],
  ['application/json', '[404]'],
]

type Case = [reply: Reply, meaning: Meaning]

/** `own` are this vendor's answers; those that every vendor gives are added. */
export function answersMean(subject: Subject, own: Case[]): void {
  const { transport, settings, taken } = subject
  const status = (answer: Reply) => answer.status ?? 200
  const explained = new Set(own.map(([answer]) => status(answer)))
  const general: Case[] = [
    [{ status: 400 }, { retryable: false }],
    [{ status: 401 }, {}],
    [{ status: 403 }, {}],
    [{ status: 404 }, {}],
    [{ status: 410 }, {}],
    [{ status: 429, headers: { 'retry-after': '7' } }, { retryAfterMs: 7000 }],
    [{ status: 500 }, {}],
    [{ status: 502, body: '<html>' }, {}],
    [{ status: 503, headers: { 'retry-after': '120' } }, { retryAfterMs: 120_000 }],
  ]

  suite(`answers to ${transport.kind}`, () => {
    test('a message that the destination accepts is sent', async (t) => assert.equal(await outcome(t, taken), 'sent'))

    for (const [answer, meaning] of [...own, ...general.filter(([{ status: code }]) => !explained.has(code ?? 200))]) {
      test(`${status(answer)} ${JSON.stringify(answer.body ?? '')} means ${JSON.stringify(meaning)}`, async (t) => {
        const error = await outcome(t, answer)
        assert.ok(error instanceof DeliveryError, String(error))
        const { retryable = !meaning.permanent, permanent = false, suspect = false, retryAfterMs, says } = meaning
        assert.deepEqual(
          [error.retryable, error.permanent, error.suspect, error.retryAfterMs, error.status],
          [retryable, permanent, suspect, retryAfterMs, status(answer)],
        )
        assert.match(error.message, new RegExp(`^answered ${status(answer)}`))
        if (says) assert.match(error.message, says)
      })
    }

    // 401, 403, 404 and 410 of a proxy in front of the vendor.
    for (const code of [401, 403, 404, 410])
      for (const [type, body] of proxyPages)
        test(`${code} of a proxy, ${type} ${body.slice(0, 30)}, does not switch the channel off`, async (t) => {
          const error = await outcome(t, { status: code, headers: { 'content-type': type }, body })
          assert.ok(error instanceof DeliveryError, String(error))
          assert.deepEqual([error.permanent, error.retryable], [false, true])
          if (!type.includes('json')) assert.equal(error.suspect, false)
        })

    test('nothing is sent if beforeSend throws on an established connection', async (t) => {
      const { url, asked } = await fakeDestination(t, () => taken)
      const beforeSend = () => {
        throw new Error('somebody else sends it')
      }
      const sending = transport.send(down, settings(url) as never, contextWith({ beforeSend }))
      await assert.rejects(sending, /^Error: somebody else sends it$/)
      assert.equal(asked.length, 0)
    })

    test('a connection that is reset is retried', async (t) => {
      const error = await outcome(t, 'reset')
      assert.ok(error instanceof FetchError && !error.refused, String(error))
    })

    test('a missing answer ends with the time-out', async (t) => {
      const error = await outcome(t, 'hang', 300)
      assert.ok(error instanceof FetchError && /no answer within 300 ms/.test(error.message), String(error))
    })
  })

  async function outcome(t: TestContext, answer: Reply | 'hang' | 'reset', timeoutMs?: number): Promise<Sent | Error> {
    const { url } = await fakeDestination(t, () => answer)
    const context = contextWith(timeoutMs === undefined ? {} : { timeoutMs })
    return transport.send(down, settings(url) as never, context).catch((error: Error) => error)
  }
}

/** Every character is whole. */
export function assertWhole(text: string): void {
  assert.ok(text.isWellFormed(), `half of a character in ${JSON.stringify(text.slice(-40))}`)
}
