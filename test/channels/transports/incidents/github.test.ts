import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { github } from '../../../../src/channels/transports/incidents/github.ts'
import { DeliveryError } from '../../../../src/channels/wire/transport.ts'
import {
  answersMean,
  asks,
  assertWhole,
  contextWith,
  down,
  fakeDestination,
  hostile,
  huge,
  hugeBody,
  incident,
  json,
  now,
  type Reply,
  type Subject,
  up,
} from '../contract.ts'

const settings = (url: string) => ({ repo: 'me/ops', token: 'ghp_secret', api_url: url })
const subject: Subject = {
  transport: github as Subject['transport'],
  settings,
  taken: { status: 201, body: { number: 7 } },
}

/** A repository with or without an issue of the outage. */
const repository =
  (items: object[]) =>
  (asked: { method: string; url: string }): Reply => {
    if (asked.url.startsWith('/search/')) return { body: { total_count: items.length, items } }
    return asked.method === 'PATCH' ? { body: {} } : { status: 201, body: { number: 7 } }
  }

suite('github', () => {
  test('github: an outage is an issue', async (t) => {
    const asked = await asks(t, subject, down, { labels: ['outage'] })
    assert.deepEqual([asked.length, asked[0]?.method, asked[0]?.url], [1, 'POST', '/repos/me/ops/issues'])
    const { authorization, accept } = asked[0]?.headers ?? {}
    assert.deepEqual([authorization, accept], ['Bearer ghp_secret', 'application/vnd.github+json'])
    const { title, body, labels } = json(asked)
    assert.deepEqual([title, labels], ['nightly backup is down', ['outage']])
    assert.match(body, /^The job ended with exit status 3\.\n\n\*\*Down since:\*\* 2026/)
    assert.ok(body.endsWith(`<!-- ${incident} -->`))
  })

  test('github: the recovery comments on the issue and closes it', async (t) => {
    const { url, asked } = await fakeDestination(t, repository([{ number: 42 }]))
    assert.equal(await github.send(up, settings(url), contextWith()), 'sent')
    assert.deepEqual(
      asked.map(({ method, url: path }) => `${method} ${path.split('?')[0]}`),
      ['GET /search/issues', 'POST /repos/me/ops/issues/42/comments', 'PATCH /repos/me/ops/issues/42'],
    )
    const query = new URL(url + asked[0]?.url).searchParams.get('q')
    assert.equal(query, `repo:me/ops is:issue is:open in:body "${incident}"`)
    assert.match(JSON.parse(asked[1]?.body ?? '').body, /^nightly backup is up again\n\nA heartbeat came/)
    assert.deepEqual(JSON.parse(asked[2]?.body ?? ''), { state: 'closed', state_reason: 'completed' })
  })

  test('github: a recovery retries the search for a recent issue, and then gives up', async (t) => {
    const { url } = await fakeDestination(t, repository([]))
    const error = await github.send(up, settings(url), contextWith()).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof DeliveryError && error.retryable)
    const last = { ...up, delivery: { ...up.delivery, attempt: 6 } }
    assert.deepEqual(await github.send(last, settings(url), contextWith()), {
      suppressed: 'there is no open issue of the outage',
    })
  })

  test('github: a second attempt creates no second issue', async (t) => {
    const again = { ...down, delivery: { ...down.delivery, attempt: 2 } }
    const known = await fakeDestination(t, repository([{ number: 42 }]))
    assert.equal(await github.send(again, settings(known.url), contextWith()), 'sent')
    assert.equal(known.asked.length, 1)
    const unknown = await fakeDestination(t, repository([]))
    assert.equal(await github.send(again, settings(unknown.url), contextWith()), 'sent')
    assert.equal(unknown.asked.at(-1)?.url, '/repos/me/ops/issues')
  })

  test('github: an issue stays within the limits, and mentions nobody', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { title, body } = json(await asks(t, subject, huge, own))
      assert.ok(title.length <= 256 && body.length <= 65_536)
      assertWhole(body)
    }
    assert.doesNotMatch(json(await asks(t, subject, hostile)).body.split('```')[0], /@(all|here|everyone)/)
  })
})

const documentation_url = 'https://docs.github.com/rest/issues/issues#create-an-issue'

answersMean(subject, [
  [
    { status: 401, body: { message: 'Bad credentials' } },
    { suspect: true, says: /Bad credentials/ },
  ],
  [
    {
      status: 403,
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(now / 1000 + 60) },
      body: { message: 'API rate limit exceeded' },
    },
    { suspect: false, retryAfterMs: 60_000, says: /rate limit/ },
  ],
  [
    { status: 403, headers: { 'retry-after': '30' }, body: { message: 'secondary rate limit' } },
    { suspect: false, retryAfterMs: 30_000 },
  ],
  [{ status: 403, body: { message: 'Resource not accessible' } }, { suspect: true }],
  [{ status: 404, body: { message: 'Not Found', documentation_url } }, { permanent: true }],
  [{ status: 404, body: { message: 'Not Found' } }, {}],
  [
    { status: 410, body: { message: 'Issues are disabled for this repo', documentation_url } },
    { permanent: true, says: /disabled/ },
  ],
  [{ status: 422, body: { message: 'Validation Failed' } }, { retryable: false }],
])
