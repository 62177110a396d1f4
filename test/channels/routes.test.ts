import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { suite, test } from 'node:test'
import { adminToken, build, call, createReceiver, eventually, keys } from '../helper.ts'
import { sql } from '../postgres.ts'

const channels = '/api/v3/channels/'
const unknown = '11111111-1111-4111-8111-111111111111'
const readOnly = { 'x-api-key': keys.api_key_readonly }

suite('channels', () => {
  test('channels are created, listed, changed and deleted without their settings ever being shown', async (t) => {
    const { call, databaseUrl } = await build(t)
    const settings = { url: 'http://a.example/T0PSECRET', secret: 'T0PSECRET' }
    const made = await call('POST', channels, { kind: 'webhook', name: 'hook', settings })
    assert.equal(made.status, 201)
    const { id } = made.json() as { id: string }
    assert.deepEqual(made.json(), { id, kind: 'webhook', name: 'hook' })

    const path = `${channels}${id}/`
    const listed = await call('GET', channels)
    assert.deepEqual(listed.json(), { channels: [{ id, name: 'hook', kind: 'webhook' }] })
    const { created } = (await call('GET', path)).json()
    const unused = { disabled: null, disabled_at: null, checks: 0, last_sent: null, last_error: null }
    assert.match(String(created), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/)
    const renamed = await call('PATCH', path, { name: 'new' })
    assert.deepEqual([renamed.status, renamed.json()], [200, { id, kind: 'webhook', name: 'new' }])
    const changed = await call('PATCH', path.slice(0, -1), { settings: { url: 'http://b.example/T0PSECRET' } })
    assert.equal(changed.status, 200)
    const one = await call('GET', path)
    const shown = { url: 'http://b.example/********' }
    assert.deepEqual(one.json(), { id, kind: 'webhook', name: 'new', created, ...unused, settings: shown })
    const deleted = await call('DELETE', path)
    assert.deepEqual([deleted.status, deleted.text], [204, ''])
    assert.deepEqual((await call('GET', channels)).json(), { channels: [] })

    const audit = await sql<{ action: string; actor: string }>(
      databaseUrl,
      "SELECT action, actor, detail, target FROM audit WHERE action LIKE 'channel.%' ORDER BY id",
    )
    assert.deepEqual(
      audit.map(({ action, actor }) => `${actor} ${action}`),
      ['api_key channel.create', 'api_key channel.update', 'api_key channel.update', 'api_key channel.delete'],
    )
    assert.doesNotMatch(
      JSON.stringify([made, listed, renamed, changed, one, audit].map((x) => ('text' in x ? x.text : x))),
      /T0PSECRET/,
    )
  })

  const valid = { kind: 'webhook', name: 'hook', settings: { url: 'http://a.example' } }
  const refusals: [string, unknown, string, RegExp][] = [
    [
      'an unknown kind, with the known ones',
      { ...valid, kind: 'pigeon' },
      'kind',
      /must be one of alertmanager, .*, webhook, zulip/,
    ],
    [
      'an address that has no host',
      { kind: 'slack', name: 'x', settings: { url: 'http://[' } },
      'settings.url',
      /must be an http:\/\/ or https:\/\/ URL/,
    ],
    [
      'an address with control characters',
      { kind: 'ntfy', name: 'x', settings: { topic: 'x', url: 'http://a.example/\u0000' } },
      'settings.url',
      /must be an http:\/\/ or https:\/\/ URL/,
    ],
    ['a kind that is a word of the language', { ...valid, kind: 'constructor' }, 'kind', /must be one of/],
    ['no name', { kind: 'webhook', settings: {} }, 'name', /is required/],
    ['a long name', { ...valid, name: 'x'.repeat(101) }, 'name', /100/],
    ['a NUL in the name', { ...valid, name: 'a\0b' }, 'name', /./],
    ['an unknown field', { ...valid, colour: 'red' }, 'colour', /is not a known field/],
    ['other checks than all', { ...valid, checks: 'some' }, 'checks', /./],
    ['no settings', { kind: 'webhook', name: 'hook' }, 'settings', /is required/],
    ['settings that are no object', { ...valid, settings: 'url' }, 'settings', /object/],
    ['an unknown setting', { ...valid, settings: { link: 'x' } }, 'settings.link', /is not a known field/],
    ['a setting of another type', { ...valid, settings: { url: 1 } }, 'settings.url', /must be string/],
    ['a long address', { ...valid, settings: { url: `http://a.example/${'x'.repeat(1000)}` } }, 'settings.url', /1000/],
    [
      'another method',
      { ...valid, settings: { url_up: 'http://a.example', method_up: 'PATCH' } },
      'settings.method_up',
      /GET, POST, PUT/,
    ],
    [
      'a header that is no text',
      { ...valid, settings: { url: 'http://a.example', headers: { a: 1 } } },
      'settings.headers.a',
      /must be string/,
    ],
    [
      'both styles at once',
      { ...valid, settings: { url: 'http://a.example', url_up: '' } },
      'settings.url_up',
      /must not be combined/,
    ],
    ['neither style', { ...valid, settings: {} }, 'settings.url', /is required/],
    ['a list', [], '', /./],
    ['nothing', undefined, '', /./],
  ]

  test('a bad channel is refused with the field and the rule', async (t) => {
    const { call } = await build(t)
    for (const [what, body, field, rule] of refusals) {
      const answer = await call('POST', channels, body)
      assert.equal(answer.status, 400, what)
      const { error, code, field: named } = answer.json() as Record<string, string>
      assert.deepEqual([code, named ?? ''], ['bad_request', field], `${what}: ${error}`)
      assert.match(error ?? '', rule, what)
    }
    const { id } = (await call('POST', channels, valid)).json()
    for (const [body, field] of [
      [{ kind: 'slack' }, 'kind'],
      [{ settings: { url: 'nope' } }, 'settings.url'],
      [{ name: '' }, 'name'],
    ] as const) {
      const answer = await call('PATCH', `${channels}${id}/`, body)
      assert.deepEqual([answer.status, answer.json().field], [400, field])
    }
  })

  test('channels of one project are unknown to another', async (t) => {
    const { call: own, url } = await build(t)
    const { id } = (await own('POST', channels, valid)).json()
    const project = await call(
      url,
      'POST',
      '/api/v3/projects/',
      { name: 'other' },
      { authorization: `Bearer ${adminToken}` },
    )
    const foreign = { 'x-api-key': project.json().api_key as string }
    for (const [method, path, body] of [
      ['GET', ''],
      ['PATCH', '', { name: 'mine' }],
      ['DELETE', ''],
      ['POST', 'test/'],
    ] as const) {
      for (const [channel, headers] of [
        [id, foreign],
        [unknown, { 'x-api-key': keys.api_key }],
      ] as const) {
        const answer = await call(url, method, `${channels}${channel}/${path}`, body, headers)
        assert.deepEqual([answer.status, answer.json().code], [404, 'not_found'], `${method} ${path}`)
      }
    }
    assert.deepEqual((await call(url, 'GET', channels, undefined, foreign)).json(), { channels: [] })
    assert.equal((await own('GET', `${channels}${id}/`)).json().name, 'hook')
  })

  test('only a read-write key changes channels', async (t) => {
    const { call, url } = await build(t)
    for (const [method, path] of [
      ['GET', channels],
      ['POST', channels],
      ['PATCH', `${channels}${unknown}/`],
      ['DELETE', `${channels}${unknown}/`],
      ['POST', `${channels}${unknown}/test/`],
    ] as const)
      for (const headers of [readOnly, { 'x-api-key': 'x'.repeat(32) }, {} as Record<string, string>])
        assert.equal((await call(method, path, undefined, headers)).status, 401, `${method} ${url}`)
  })

  test('a test sends a message at once', async (t) => {
    const { call } = await build(t)
    const far = await createReceiver(t, ({ url }) => (url === '/broken' ? 500 : 200))
    const tried = async (settings: object) => {
      const { id } = (await call('POST', channels, { kind: 'webhook', name: 'hook', settings })).json()
      const answer = await call('POST', `${channels}${id}/test/`)
      assert.equal(answer.status, 200)
      return answer.json()
    }
    assert.deepEqual(await tried({ url: far.url }), { delivered: true, error: null })
    assert.equal(JSON.parse(far.received[0]?.body ?? '').event, 'test')
    assert.deepEqual(await tried({ url_up: `${far.url}/$STATUS` }), { delivered: true, error: null })
    assert.deepEqual(await tried({ url: `${far.url}/broken` }), {
      delivered: false,
      error: 'answered 500 Internal Server Error',
    })
    assert.deepEqual(await tried({ url: 'http://127.0.0.1:1/' }), {
      delivered: false,
      error: 'connection refused: 127.0.0.1',
    })
    assert.equal(far.received.length, 3)
  })

  test('settings are shown with masked secrets, and a mask that is sent back changes nothing', async (t) => {
    const { call } = await build(t)
    const far = await createReceiver(t, ({ url }) => (url === '/broken' ? 500 : 200))
    const settings = {
      url: `${far.url}/T0PSECRET?a=b`,
      headers: { 'x-key': 'T0PSECRET' },
      secret: 'T0PSECRET',
    }
    const { id } = (await call('POST', channels, { kind: 'webhook', name: 'hook', settings, checks: '*' })).json()
    const path = `${channels}${id}/`
    const shown = (await call('GET', path)).json().settings
    const mask = '********'
    assert.deepEqual(shown, { url: `${far.url}/${mask}`, headers: { 'x-key': mask }, secret: mask })

    const changed = { ...(shown as object), headers: { 'x-key': mask, 'x-other': 'new' } }
    assert.equal((await call('PATCH', path, { settings: changed })).status, 200)
    assert.deepEqual((await call('POST', `${path}test/`)).json(), { delivered: true, error: null })
    const [received] = far.received
    assert.deepEqual(
      [received?.url, received?.headers['x-key'], received?.headers['x-other']],
      ['/T0PSECRET?a=b', 'T0PSECRET', 'new'],
    )
    assert.match(received?.headers['x-flatline-signature'] as string, /^t=/)
    const elsewhere: [object, string][] = [
      [{ ...(shown as object), url: `http://b.example/${mask}` }, 'settings.url'],
      [{ ...(shown as object), headers: { 'x-new': mask } }, 'settings.headers.x-new'],
    ]
    for (const [wrong, field] of elsewhere) {
      const refused = await call('PATCH', path, { settings: wrong })
      assert.deepEqual([refused.status, refused.json().field], [400, field], 'what it hid would be lost')
    }

    const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'nightly', channels: '*' })).json() as {
      uuid: string
    }
    await call('POST', `/ping/${uuid}`, undefined, {})
    await call('POST', `/ping/${uuid}/fail`, undefined, {})
    const used = await eventually('the alert', async () => {
      const state = (await call('GET', path)).json()
      return state.last_sent !== null && state
    })
    assert.deepEqual([used.checks, used.last_error], [1, null])

    await call('PATCH', path, { settings: { url: `${far.url}/broken` } })
    await call('POST', `/ping/${uuid}`, undefined, {})
    const failing = await eventually('the failure', async () => {
      const state = (await call('GET', path)).json() as Record<string, { error: string } | null>
      return state.last_error && state
    })
    assert.equal(failing.last_error?.error, 'answered 500 Internal Server Error')
    assert.ok(failing.last_sent)
  })

  test('a channel shows which alerts it gets, and in the list only the fields of Healthchecks', async (t) => {
    const { call } = await build(t)
    const alerts = { events: ['down'], remind_every: 3600 }
    const { id } = (await call('POST', channels, { ...valid, alerts })).json()
    assert.deepEqual((await call('GET', `${channels}${id}/`)).json().alerts, alerts)
    const [listed] = (await call('GET', channels)).json().channels as [Record<string, unknown>]
    assert.deepEqual(listed, { id, name: 'hook', kind: 'webhook' })
    await call('PATCH', `${channels}${id}/`, { alerts: null })
    assert.equal((await call('GET', `${channels}${id}/`)).json().alerts, undefined)
  })

  test('kinds that need the operator are refused, and the answer says what is missing', async (t) => {
    const { call } = await build(t)
    for (const [kind, settings, missing] of [
      ['email', { to: 'me@example.org' }, /SMTP_RELAY_HOST/],
      ['shell', { cmd_down: 'true' }, /ALLOW_SHELL_CHANNELS/],
    ] as const) {
      const answer = await call('POST', channels, { kind, name: kind, settings })
      assert.deepEqual([answer.status, answer.json().field], [400, 'kind'])
      assert.match(answer.json().error as string, missing)
    }
    const { call: allowed } = await build(t, { ALLOW_SHELL_CHANNELS: 'true' })
    const { id } = (
      await allowed('POST', channels, { kind: 'shell', name: 's', settings: { cmd_down: 'exit 3' } })
    ).json()
    assert.deepEqual((await allowed('POST', `${channels}${id}/test/`)).json(), {
      delivered: false,
      error: 'the command ended with exit status 3',
    })
  })

  test('settings of every kind that break a rule are refused with the field and the rule', async (t) => {
    const { call } = await build(t)
    const cases: [kind: string, settings: object, field: string, rule: RegExp][] = [
      ['slack', {}, 'url', /is required/],
      ['slack', { url: 'ftp://a.example' }, 'url', /must be an http:\/\/ or https:\/\/ URL/],
      ['slack', { url: 'http://a.example', colour: 'red' }, 'colour', /is not a known field/],
      ['slack', { url: 'http://a.example', title: '' }, 'title', /fewer than 1/],
      ['pagerduty', { routing_key: 'short' }, 'routing_key', /must be an integration key/],
      ['pagerduty', { routing_key: 'x'.repeat(32), severity: 'bad' }, 'severity', /critical, error, warning, info/],
      ['telegram', { token: 'x', chat_id: '1' }, 'token', /as BotFather gives it/],
      ['telegram', { token: '1:a', chat_id: 'x' }, 'chat_id', /must be the number of a chat/],
      ['ntfy', { topic: 'a/b' }, 'topic', /must be 1 to 64 of/],
      ['ntfy', { topic: 'a', priority_down: 6 }, 'priority_down', /<= 5/],
      ['pushover', { token: 'x'.repeat(30), user: 'y' }, 'user', /30 letters and digits/],
      [
        'signal',
        { api_url: 'http://a.example', number: '+491511234567', recipients: ['x'] },
        'recipients.0',
        /phone numbers/,
      ],
      [
        'signal',
        { api_url: 'http://a.example', number: '+491511234567', recipients: [] },
        'recipients',
        /fewer than 1/,
      ],
      ['matrix', { homeserver: 'http://a.example', token: 'x', room_id: '#a:b' }, 'room_id', /internal id of a room/],
      ['github', { repo: 'me', token: 'x' }, 'repo', /owner\/name/],
      ['sms', { account_sid: 'AC1', auth_token: 'x', from: '+491511', to: '+491511' }, 'account_sid', /32 hex digits/],
      ['apprise', { url: 'http://a.example' }, 'key', /one of|required/],
      ['alertmanager', { url: 'http://a.example', labels: { 'a b': 'x' } }, 'labels.a b', /known field|labels/],
      [
        'zulip',
        { site: 'http://a.example', bot_email: 'a@b', api_key: 'x', to: 'y', type: 'z' },
        'type',
        /stream, direct/,
      ],
      ['group', { channels: [] }, 'channels', /fewer than 1/],
      ['group', { channels: ['x'] }, 'channels.0', /ids of channels/],
      ['group', { channels: [unknown] }, 'channels.0', /not a channel of this project/],
    ]
    for (const [kind, settings, field, rule] of cases) {
      const answer = await call('POST', channels, { kind, name: 'x', settings })
      const { error, field: named } = answer.json() as Record<string, string>
      assert.deepEqual(
        [answer.status, named],
        [400, `settings.${field}`],
        `${kind} ${JSON.stringify(settings)}: ${error}`,
      )
      assert.match(error ?? '', rule)
      assert.ok((error ?? '').startsWith(`settings.${field} `), error)
    }
  })

  test('private addresses are refused unless they are allowed', async (t) => {
    const { call } = await build(t, { ALLOW_PRIVATE_TARGETS: 'false' })
    const far = await createReceiver(t)
    const { id } = (await call('POST', channels, { kind: 'webhook', name: 'hook', settings: { url: far.url } })).json()
    const answer = await call('POST', `${channels}${id}/test/`)
    assert.deepEqual(answer.json(), { delivered: false, error: '127.0.0.1 is not an allowed destination' })
    assert.equal(far.received.length, 0)

    const { call: exempt } = await build(t, {
      ALLOW_PRIVATE_TARGETS: 'false',
      ALLOWED_TARGETS: '127.0.0.1,10.1.0.0/16',
    })
    const made = await exempt('POST', channels, { kind: 'webhook', name: 'hook', settings: { url: far.url } })
    assert.deepEqual((await exempt('POST', `${channels}${made.json().id}/test/`)).json(), {
      delivered: true,
      error: null,
    })
  })
})

suite('from a ping to an alert', () => {
  test('a failure and the following success send one alert each, on the channel attached to all checks', async (t) => {
    const { call } = await build(t)
    const far = await createReceiver(t)
    const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'nightly' })).json() as { uuid: string }
    await call('POST', channels, { kind: 'webhook', name: 'hook', settings: { url: far.url }, checks: '*' })
    await call('POST', `/ping/${uuid}`, undefined, {})
    await call('POST', `/ping/${uuid}/7`, undefined, {})
    await eventually('the first alert', () => far.received.length === 1)
    await call('POST', `/ping/${uuid}`, undefined, {})
    await eventually('both alerts', () => far.received.length >= 2)
    const told = far.received.map(({ body }) => JSON.parse(body))
    assert.deepEqual(
      told.map(({ event, flip, check }) => [event, flip.reason, check.uuid, check.status]),
      [
        ['down', 'exit 7', uuid, 'down'],
        ['up', 'recovered', uuid, 'up'],
      ],
    )
    const { deliveries } = await eventually('both results', async () => {
      const page = (await call('GET', '/api/v3/deliveries/?status=sent')).json() as { deliveries: unknown[] }
      return page.deliveries.length === 2 && page
    })
    assert.equal(deliveries.length, 2)
  })
})

suite('deliveries', () => {
  test('deliveries are listed newest first, filtered and in pages, for any key of their project', async (t) => {
    const { call, app, databaseUrl } = await build(t)
    const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'nightly' })).json() as { uuid: string }
    const { uuid: other } = (await call('POST', '/api/v3/checks/', { name: 'other' })).json() as { uuid: string }
    const settings = { url: 'http://127.0.0.1:1/' }
    const { id: channel } = (
      await call('POST', channels, { kind: 'webhook', name: 'hook', settings, checks: '*' })
    ).json()
    const [{ project_id } = {}] = await sql<{ project_id: string }>(databaseUrl, 'SELECT project_id FROM channels')
    for (const [check, count] of [
      [uuid, 7],
      [other, 1],
    ] as const)
      await sql(
        databaseUrl,
        `INSERT INTO flips (check_id, seq, project_id, at, "from", "to", reason)
         SELECT $1, seq, $2, '2026-11-22T21:10:00.123Z', 'up', 'down', 'timeout' FROM generate_series(1, $3::int) seq`,
        [check, project_id, count],
      )
    await eventually('the outbox', async () => (await app.notifications.queueLength()) === 8)

    const list = async (query: string) => {
      const answer = await call('GET', `/api/v3/deliveries${query}`)
      assert.equal(answer.status, 200, answer.text)
      return answer.json() as { deliveries: Record<string, unknown>[]; next: string | null }
    }
    const all = await list('')
    const asReadOnly = await call('GET', '/api/v3/deliveries', undefined, readOnly)
    assert.equal((asReadOnly.json().deliveries as object[]).length, 8)
    assert.deepEqual([all.deliveries.length, all.next], [8, null])
    const first = await eventually('a first attempt', async () =>
      (await list(`/?check=${other}&status=retrying`)).deliveries.at(0),
    )
    const { id, next_attempt, waiting_for, attempts, ...rest } = first
    assert.ok(typeof id === 'string' && typeof attempts === 'number' && waiting_for !== undefined)
    assert.match(String(next_attempt), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/)
    assert.deepEqual(rest, {
      check: other,
      channel,
      event: 'down',
      flip: { at: '2026-11-22T21:10:00.123+00:00', from: 'up', to: 'down', reason: 'timeout' },
      status: 'retrying',
      last_error: 'connection refused: 127.0.0.1',
      request_id: null,
    })

    const seen: unknown[] = []
    let after = ''
    for (let pages = 0; pages < 4; pages++) {
      const page = await list(`/?check=${uuid}&limit=2${after}`)
      assert.equal(page.deliveries.length, pages < 3 ? 2 : 1)
      assert.equal(page.next === null, pages === 3)
      seen.push(...page.deliveries.map((delivery) => delivery.id))
      after = `&after=${page.next}`
    }
    assert.deepEqual(
      seen,
      all.deliveries.filter(({ check }) => check === uuid).map((delivery) => delivery.id),
    )
    assert.equal((await list(`?channel=${channel}&limit=1000`)).deliveries.length, 8)
    assert.equal((await list(`?channel=${randomUUID()}`)).deliveries.length, 0)
    assert.equal((await list('?status=dead')).deliveries.length, 0)

    await call('DELETE', `${channels}${channel}/`)
    const ended = await list('?status=suppressed')
    assert.equal(ended.deliveries.length, 8)
    assert.deepEqual(
      [ended.deliveries[0]?.last_error, ended.deliveries[0]?.next_attempt],
      ['the channel was deleted', null],
    )
  })

  test('bad filters of deliveries are refused with the field and the rule', async (t) => {
    const { call } = await build(t)
    const forged = Buffer.from(`1.1.${'-'.repeat(36)}`).toString('base64url')
    for (const [query, field] of [
      ['check=nightly', 'check'],
      ['channel=1', 'channel'],
      ['status=lost', 'status'],
      ['limit=0', 'limit'],
      ['limit=1001', 'limit'],
      ['limit=many', 'limit'],
      ['after=abc', 'after'],
      [`after=${forged}`, 'after'],
      ['colour=red', 'colour'],
    ]) {
      const answer = await call('GET', `/api/v3/deliveries/?${query}`)
      assert.deepEqual([answer.status, answer.json().field], [400, field], `${query}: ${answer.text}`)
    }
    assert.equal((await call('GET', '/api/v3/deliveries/', undefined, {})).status, 401)
  })

  test('a dead alert is resent with the same key, as long as it is the latest of its check', async (t) => {
    const { call, databaseUrl } = await build(t, { FLATLINE__ALERTING__RETRY_FOR_MS: '1' })
    let works = false
    const far = await createReceiver(t, () => (works ? 200 : 500))
    const settings = { url: far.url }
    await call('POST', channels, { kind: 'webhook', name: 'hook', settings })
    const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'nightly', channels: '*' })).json()
    await call('GET', `/ping/${uuid}/fail`, undefined, {})
    const deliveries = async (status = '') =>
      (await call('GET', `/api/v3/deliveries/${status && `?status=${status}`}`)).json().deliveries as { id: string }[]
    const dead = await eventually('the dead letter', async () => (await deliveries('dead'))[0])
    const again = `/api/v3/deliveries/${dead.id}/resend/`
    assert.equal((await call('POST', again, undefined, readOnly)).status, 401)
    assert.equal((await call('POST', `/api/v3/deliveries/${unknown}/resend/`)).status, 404)
    await sql(databaseUrl, 'UPDATE channels SET disabled_at = now()')
    assert.match((await call('POST', again)).text, /switched off/)
    await sql(databaseUrl, 'UPDATE channels SET disabled_at = NULL')

    works = true
    const answer = await call('POST', again)
    assert.deepEqual([answer.status, answer.json().status, answer.json().id], [200, 'pending', dead.id])
    await eventually('the alert', async () => (await deliveries('sent')).length === 1)
    assert.equal(new Set(far.received.map(({ headers }) => headers['idempotency-key'])).size, 1)
    assert.equal((await call('POST', again)).status, 409)
    const [entry] = await sql(databaseUrl, "SELECT target, actor FROM audit WHERE action = 'delivery.resend'")
    assert.deepEqual(entry, { target: dead.id, actor: 'api_key' })

    await sql(databaseUrl, "UPDATE deliveries SET status = 'dead'")
    await call('GET', `/ping/${uuid}`, undefined, {})
    await eventually('the recovery', async () => (await deliveries('sent')).length === 1)
    const outdated = await call('POST', again)
    assert.deepEqual([outdated.status, outdated.json().code], [409, 'conflict'])
    assert.match(outdated.text, /changed/)
  })
})
