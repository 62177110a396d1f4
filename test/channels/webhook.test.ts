import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { suite, type TestContext, test } from 'node:test'
import { webhook } from '../../src/channels/transports/webhook.ts'
import { DeliveryError } from '../../src/channels/wire/transport.ts'
import { type CheckMessage, testMessage } from '../../src/messages/message.ts'
import { createGuardedFetch } from '../../src/outbound/guarded-fetch.ts'
import { listen } from '../fake-destination.ts'
import { createReceiver, type Received } from '../helper.ts'
import { viewOf } from './transports/contract.ts'

type Settings = Parameters<typeof webhook.send>[1]

const now = Date.parse('2026-11-22T21:10:05Z')
const limits = { allowPrivateTargets: true, timeoutMs: 10_000, responseMaxBytes: 1000, userAgent: 'Flatline/test' }
const fetch = createGuardedFetch(limits)
const capabilities = { smtp: null, shell: false }
const beforeSend = () => undefined
const { signal } = new AbortController()
const context = { fetch, signal, beforeSend, now: () => now, timeoutMs: limits.timeoutMs, capabilities }
const code = '1b6a8d0e-8c3f-4f0a-9d5e-0d6f3a2b1c0d'
const check = { name: 'Näme "€" $TAGS', slug: 'nightly', tags: 'prod $CODE', status: 'down', uuid: code }

const message: CheckMessage = {
  event: 'down',
  check: viewOf(check),
  flip: { at: '2026-11-22T21:10:00.123+00:00', from: 'up', to: 'down', reason: 'timeout' },
  incident: 'flatline-key-7',
  delivery: { id: 'd-1', attempt: 2 },
  lastPing: { body: Buffer.from('line 1\n"$NAME"'), exitStatus: 3 },
}
const recovery: CheckMessage = {
  ...message,
  event: 'up',
  flip: { ...message.flip, from: 'down', to: 'up', reason: 'recovered' },
}

async function received(t: TestContext, settings: (url: string) => Settings, told = message): Promise<Received> {
  const { url, received } = await createReceiver(t)
  assert.equal(webhook.problem?.(settings(url)), undefined)
  assert.equal(await webhook.send(told, settings(url), context), 'sent')
  assert.equal(received.length, 1)
  return received[0] as Received
}

suite("Flatline's own document", () => {
  test('a webhook posts the document as JSON with an idempotency key', async (t) => {
    const { method, url, headers, body } = await received(t, (url) => ({ url: `${url}/hook?a=1` }))
    assert.deepEqual([method, url], ['POST', '/hook?a=1'])
    const { event, flip, incident, delivery } = message
    const { title, text, last_ping, ...rest } = JSON.parse(body)
    assert.deepEqual(rest, { event, check, flip, incident, delivery })
    assert.equal(title, 'Näme "€" $TAGS is down')
    assert.match(text, /^No heartbeat came in time\.\n\nDown since: 2026-11-22 21:10:00 UTC\n/)
    assert.deepEqual(last_ping, { exit_status: 3, output: 'line 1\n"$NAME"' })
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['user-agent'], 'Flatline/test')
    assert.equal(headers['idempotency-key'], 'd-1')
    assert.equal(headers['x-flatline-signature'], undefined)
  })

  test('a webhook reports both directions, and names the blind window if there is one', async (t) => {
    const blind = { from: '2026-11-22T20:00:00.000+00:00', to: '2026-11-22T20:05:00.000+00:00' }
    const { body } = await received(t, (url) => ({ url }), { ...recovery, blind })
    assert.equal(JSON.parse(body).event, 'up')
    assert.deepEqual(JSON.parse(body).blind, blind)
  })

  test('a webhook signs time and body with the secret', async (t) => {
    const { headers, body } = await received(t, (url) => ({ url, secret: 'top secret' }))
    const at = now / 1000
    const mac = createHmac('sha256', 'top secret').update(`${at}.${body}`).digest('hex')
    assert.equal(headers['x-flatline-signature'], `t=${at},v1=${mac}`)
  })

  test('a webhook carries the headers of the user, which override those of Flatline', async (t) => {
    const own = { 'X-Api-Token': 'abc', 'user-agent': 'mine', 'Content-Type': 'application/vnd.x+json' }
    const { headers } = await received(t, (url) => ({ url, headers: own }))
    assert.equal(headers['x-api-token'], 'abc')
    assert.equal(headers['user-agent'], 'mine')
    assert.equal(headers['content-type'], 'application/vnd.x+json')
  })
})

suite('placeholders', () => {
  test('placeholders are percent-encoded in the address of a webhook', async (t) => {
    const { url, method } = await received(t, (url) => ({
      url_down: `${url}/$CODE/$STATUS/$SLUG?n=$NAME&t=$TAG1&at=$NOW&e=$EXITSTATUS`,
    }))
    assert.equal(method, 'GET')
    const name = encodeURIComponent(check.name)
    const at = encodeURIComponent('2026-11-22T21:10:00+00:00')
    assert.equal(url, `/${code}/down/nightly?n=${name}&t=prod&at=${at}&e=3`)
  })

  test('placeholders are inserted unchanged into the body, which can also contain the ping body', async (t) => {
    const template = '{"name": $NAME_JSON, "check": $JSON, "body": $BODY_JSON, "raw": "$TAGS|$TAG2|$STATUS"}\n$BODY'
    const { method, body, headers } = await received(t, (url) => ({
      url_down: url,
      method_down: 'PUT',
      body_down: template,
    }))
    assert.equal(method, 'PUT')
    const ping = 'line 1\n"$NAME"'
    const expected = `{"name": ${JSON.stringify(check.name)}, "check": ${JSON.stringify(check)}, "body": ${JSON.stringify(ping)}, "raw": "prod $CODE|$CODE|down"}\n${ping}`
    assert.equal(body, expected)
    assert.equal(headers['idempotency-key'], 'd-1')
  })

  test('placeholders in headers are Latin-1, with references for the rest, and begin no other header', async (t) => {
    const evil = { ...message, check: viewOf({ ...check, name: 'Näme €🙂\r\nX-Evil: 1' }) }
    const { headers } = await received(
      t,
      (url) => ({ url_down: url, headers_down: { 'X-Name': '[$NAME] $BODY', 'X-Tag': '$TAG9' } }),
      evil,
    )
    assert.equal(headers['x-name'], '[Näme &#8364;&#128578;  X-Evil: 1] $BODY')
    assert.equal(headers['x-evil'], undefined)
    assert.equal(headers['x-tag'], '$TAG9')
  })

  test('unknown placeholders, and numbers of tags that do not exist, are left alone', async (t) => {
    const template = '$FOO $TAG0 $TAG3 $TAG10 $$NAME $NAMES'
    const { body } = await received(t, (url) => ({ url_down: url, method_down: 'POST', body_down: template }))
    assert.equal(body, `$FOO $TAG0 $TAG3 $TAG10 $${check.name} ${check.name}S`)
  })

  test('without an earlier ping $BODY is empty and $EXITSTATUS is -1', async (t) => {
    const { lastPing: _none, ...first } = message
    const settings = (url: string): Settings => ({
      url_down: url,
      method_down: 'POST',
      body_down: '$EXITSTATUS|$BODY|$BODY_JSON',
    })
    assert.equal((await received(t, settings, first)).body, '-1||""')
    const silent = { ...message, lastPing: { body: null, exitStatus: null } }
    assert.equal((await received(t, settings, silent)).body, '-1||""')
  })
})

suite('directions', () => {
  test('each direction of a webhook has its own address, method and body', async (t) => {
    const settings = (url: string): Settings => ({
      url_down: `${url}/down`,
      url_up: `${url}/up`,
      method_up: 'POST',
      body_up: '$STATUS',
    })
    const down = await received(t, settings)
    const up = await received(t, settings, recovery)
    assert.deepEqual([down.method, down.url, down.body], ['GET', '/down', ''])
    assert.deepEqual([up.method, up.url, up.body], ['POST', '/up', 'up'])
  })

  test('a direction without an address is suppressed', async (t) => {
    const { url, received } = await createReceiver(t)
    const settings = { url_down: url, url_up: '' }
    assert.deepEqual(await webhook.send(recovery, settings, context), { suppressed: 'the channel has no url_up' })
    assert.deepEqual(await webhook.send(message, { url_up: url }, context), {
      suppressed: 'the channel has no url_down',
    })
    assert.equal(received.length, 0)
  })

  test('a test uses the only direction that has an address', async (t) => {
    const told = testMessage({ deliveryId: 'd', at: message.flip.at, siteUrl: 'http://flatline.example' })
    assert.equal((await received(t, (url) => ({ url_down: `${url}/$STATUS` }), told)).url, '/down')
    assert.equal((await received(t, (url) => ({ url_up: `${url}/$STATUS` }), told)).url, '/up')
    assert.equal(JSON.parse((await received(t, (url) => ({ url }), told)).body).event, 'test')
  })
})

suite('answers', () => {
  const answer = async (t: TestContext, status: number, headers: Record<string, string> = {}) => {
    const url = await listen(t, (_request, response) => response.writeHead(status, headers).end('secret body'))
    return webhook.send(message, { url }, context).catch((error: unknown) => error)
  }

  for (const status of [200, 201, 202, 204, 299]) {
    test(`a webhook that answers ${status} has succeeded`, async (t) => assert.equal(await answer(t, status), 'sent'))
  }

  for (const status of [304, 400, 401, 403, 404, 429, 500, 503]) {
    test(`a webhook that answers ${status} is retried`, async (t) => {
      const error = await answer(t, status)
      assert.ok(error instanceof DeliveryError)
      assert.deepEqual([error.retryable, error.permanent], [true, false])
      assert.match(error.message, new RegExp(`^answered ${status} [A-Za-z ]+$`))
    })
  }

  test('a webhook that answers 410 is permanently gone', async (t) => {
    const error = await answer(t, 410)
    assert.ok(error instanceof DeliveryError)
    assert.deepEqual([error.retryable, error.permanent, error.message], [false, true, 'answered 410 Gone'])
  })

  test('a webhook that answers Retry-After gets that pause', async (t) => {
    const error = await answer(t, 429, { 'retry-after': '7' })
    assert.equal(error instanceof DeliveryError && error.retryAfterMs, 7000)
  })

  test('a webhook that redirects gets the document at the new address', async (t) => {
    const { url, received } = await createReceiver(t)
    const from = await listen(t, (_request, response) => response.writeHead(307, { location: `${url}/new` }).end())
    assert.equal(await webhook.send(message, { url: from }, context), 'sent')
    assert.equal(received[0]?.url, '/new')
    assert.equal(JSON.parse(received[0]?.body ?? '').event, 'down')
  })

  test('a webhook that never answers ends with the time-out', async (t) => {
    const url = await listen(t, () => undefined)
    const impatient = { ...context, fetch: createGuardedFetch({ ...limits, timeoutMs: 300 }) }
    await assert.rejects(webhook.send(message, { url }, impatient), /no answer within 300 ms/)
  })
})

suite('settings', () => {
  const problems: [Settings, string, RegExp][] = [
    [{}, 'url', /is required, or one of url_down and url_up/],
    [{ url_down: '', url_up: '' }, 'url', /is required/],
    [{ url: '' }, 'url', /is required/],
    [{ url: 'http://a.example', url_up: 'http://b.example' }, 'url_up', /must not be combined with url/],
    [{ url_down: 'http://a.example', secret: 's' }, 'url_down', /must not be combined with secret/],
    [{ url: 'ftp://a.example' }, 'url', /http/],
    [{ url: 'a.example' }, 'url', /http/],
    [{ url: 'http://a.example/\u0000' }, 'url', /http/],
    [{ url_up: 'javascript:alert(1)' }, 'url_up', /http/],
    [{ url: 'http://me:pw@a.example' }, 'url', /credentials/],
    [{ url: 'http://a.example', headers: { 'a b': '' } }, 'headers', /header name/],
    [{ url: 'http://a.example', headers: { Host: 'b' } }, 'headers.Host', /Flatline itself/],
    [{ url: 'http://a.example', headers: { 'X-A': 'a\nb' } }, 'headers.X-A', /Latin-1/],
    [{ url_up: 'http://a.example', headers_up: { 'X-A': '€' } }, 'headers_up.X-A', /Latin-1/],
    [{ url_up: 'http://a.example', body_up: 'x' }, 'body_up', /method_up to be POST or PUT/],
  ]
  for (const [settings, field, rule] of problems) {
    test(`${JSON.stringify(settings)} names ${field} and the rule`, () => {
      const problem = webhook.problem?.(settings)
      assert.equal(problem?.field, field)
      assert.match(problem?.rule ?? '', rule)
    })
  }
})
