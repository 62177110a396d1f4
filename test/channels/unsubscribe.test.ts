import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { createUnsubscribeLinks } from '../../src/channels/recipients/unsubscribe-links.ts'
import { build, eventually } from '../helper.ts'
import { sql } from '../postgres.ts'
import { mailServer } from './mail-server.ts'

const channels = '/api/v3/channels/'
const uuid = '1b6a8d0e-8c3f-4f0a-9d5e-0d6f3a2b1c0d'

suite('a mail', () => {
  test('a mail contains an unsubscribe address that only its recipient knows', async (t) => {
    const { port, mails } = await mailServer(t)
    const { call, url, databaseUrl } = await build(t, {
      SMTP_RELAY_HOST: '127.0.0.1',
      SMTP_RELAY_PORT: String(port),
      SMTP_RELAY_SECURITY: 'none',
      SMTP_RELAY_FROM: 'Flatline <alerts@example.org>',
      CONFIRM_RECIPIENTS: 'false',
    })
    const settings = { to: 'ops@example.net' }
    const { id } = (await call('POST', channels, { kind: 'email', name: 'ops', settings, checks: '*' })).json()
    assert.deepEqual((await call('GET', `${channels}${id}/`)).json().settings, settings)
    assert.deepEqual((await call('POST', `${channels}${id}/test/`)).json(), { delivered: true, error: null })
    const link = /List-Unsubscribe: <([^>]+)>/i.exec(mails[0]?.replace(/\r\n\s+/g, ' ') ?? '')?.[1] ?? ''
    assert.ok(link.startsWith(`${url}${channels}${id}/unsubscribe/`), link)

    // Mail scanners open every address.
    const opened = await fetch(link)
    assert.deepEqual([opened.status, opened.headers.get('content-type')], [200, 'text/html; charset=utf-8'])
    assert.match(await opened.text(), /<form method="post">/)
    assert.equal((await call('GET', `${channels}${id}/`)).json().disabled, null)
    for (const path of [`${id}/unsubscribe/wrong`, `${uuid}/unsubscribe/${link.split('/').at(-1)}`])
      for (const method of ['GET', 'POST'])
        assert.equal((await call(method, channels + path, undefined, {})).status, 404)

    const moved = { settings: { to: 'next@example.net' } }
    assert.equal((await call('PATCH', `${channels}${id}/`, moved)).status, 200)
    for (const method of ['GET', 'POST'])
      assert.equal((await fetch(link, { method })).status, 404, 'it is not for the next recipient')
    assert.equal((await call('GET', `${channels}${id}/`)).json().disabled, null)
    assert.equal((await call('PATCH', `${channels}${id}/`, { settings })).status, 200)

    const oneClick = {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'List-Unsubscribe=One-Click',
    }
    for (let times = 0; times < 2; times++) {
      const declined = await fetch(link, oneClick)
      assert.deepEqual([declined.status, /no more alerts/.test(await declined.text())], [200, true])
    }
    assert.equal((await call('GET', `${channels}${id}/`)).json().disabled, 'its recipient has unsubscribed')
    const audit = await sql<{ actor: string; address: string }>(
      databaseUrl,
      "SELECT actor, address FROM audit WHERE action = 'channel.disable'",
    )
    assert.deepEqual(audit, [{ actor: 'recipient', address: '127.0.0.1' }])

    const { uuid: check } = (await call('POST', '/api/v3/checks/', { name: 'nightly', channels: '*' })).json()
    await call('POST', `/ping/${check}`, undefined, {})
    await call('POST', `/ping/${check}/fail`, undefined, {})
    await eventually('the outbox', async () => {
      const [{ left } = {}] = await sql<{ left: number }>(
        databaseUrl,
        'SELECT count(*)::int AS left FROM flips WHERE processed_at IS NULL',
      )
      return left === 0
    })
    assert.equal(mails.length, 1)
  })
})

suite('a signed link', () => {
  test('an unsubscribe link outlives a rotation of keys, and works for one channel and recipient only', () => {
    const [old, fresh] = [randomBytes(32), randomBytes(32)]
    const siteUrl = () => 'https://flatline.example'
    const link = createUnsubscribeLinks({ keys: [old], siteUrl }).link(uuid, 'ops@example.net')
    const signature = link.split('/').at(-1) as string
    const rotated = createUnsubscribeLinks({ keys: [fresh, old], siteUrl })
    const may = (by: typeof rotated, ...of: [string, string]) => by.isValid(...of, signature)
    assert.equal(may(rotated, uuid, 'Ops@Example.net'), true)
    assert.equal(may(rotated, uuid.replace('1', '2'), 'ops@example.net'), false)
    assert.equal(may(rotated, uuid, 'other@example.net'), false)
    assert.equal(rotated.isValid(uuid, 'ops@example.net', ''), false)
    assert.equal(may(createUnsubscribeLinks({ keys: [fresh], siteUrl }), uuid, 'ops@example.net'), false)
    assert.notEqual(rotated.link(uuid, 'ops@example.net'), link)
  })
})
