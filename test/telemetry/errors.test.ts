// Unexpected errors go to Sentry as its envelopes: https://develop.sentry.dev/sdk/data-model/envelopes/

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { build, createReceiver, eventually, keys, scratchDir } from '../helper.ts'

type SentryEvent = {
  level: string
  release: string
  environment: string
  message: string
  tags: Record<string, string>
  exception: { values: { type: string; value: string; stacktrace: { frames: { filename: string }[] } }[] }
}

const eventOf = (envelope: string): SentryEvent => JSON.parse(envelope.split('\n')[2] ?? '')

test('unexpected errors are sent to Sentry without secrets, and only so many a minute', async (t) => {
  const sentry = await createReceiver(t)
  const logFile = join(await scratchDir(t), 'flatline.log')
  const checkId = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
  const { app, url } = await build(
    t,
    {
      LOG_LEVEL: 'info',
      LOG_FILE: logFile,
      SENTRY_DSN: `${sentry.url.replace('//', '//0123456789abcdef0123456789abcdef@')}/42`,
      SENTRY_ENVIRONMENT: 'night',
    },
    (one) => {
      one.addHook('preHandler', async ({ headers }) => {
        if (headers['x-request-id'] !== 'night-42') return
        const cause = new Error(`no answer to https://user:password-of-it@example.org/ping/${checkId}`)
        throw new TypeError(`cannot read X-Api-Key: ${keys.api_key}`, { cause })
      })
    },
  )
  const headers = { cookie: 'session=secret-of-the-session', 'x-request-id': 'night-42', 'x-api-key': keys.api_key }
  const answer = await fetch(`${url}/api/v3/checks/?tag=secret-of-the-query`, { headers })
  assert.equal(answer.status, 500)
  assert.deepEqual(await answer.json(), { error: 'internal error' })
  await eventually('the event', async () => sentry.received.length > 0)
  const [request] = sentry.received
  assert.equal(request?.url?.split('?')[0], '/api/42/envelope/')
  const event = eventOf(request?.body ?? '')
  const [cause, thrown] = event.exception.values
  assert.deepEqual([event.level, event.environment, event.message], ['error', 'night', 'request failed'])
  assert.match(event.release, /^flatline@\d/)
  assert.deepEqual(event.tags, { event: 'request.error', requestId: 'night-42' })
  assert.deepEqual([cause?.type, thrown?.type], ['Error', 'TypeError'])
  assert.match(thrown?.stacktrace.frames.at(-1)?.filename ?? '', /errors\.test\.ts$/)

  app.log.error({ event: 'quarantine.added' }, 'an error without an exception')
  app.log.error({ err: new Error('of a loop'), event: 'loop.error', loop: 'detector' }, 'background step failed')
  await eventually('the second event', async () => sentry.received.length > 1)
  assert.equal(eventOf(sentry.received[1]?.body ?? '').tags.loop, 'detector')

  for (let i = 0; i < 100; i++) app.log.error({ err: new Error(`number ${i}`) }, 'again and again')
  await app.close()
  assert.ok(sentry.received.length <= 30, String(sentry.received.length))
  const all = sentry.received.map(({ body }) => body).join('\n')
  for (const secret of [keys.api_key, checkId, 'password-of-it', 'secret-of-the'])
    assert.ok(!all.includes(secret), `${secret} was sent`)
})
