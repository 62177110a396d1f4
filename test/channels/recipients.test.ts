// Until somebody at an address has confirmed, a project can only send it a request for confirmation.

import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { build, eventually } from '../helper.ts'
import { sql } from '../postgres.ts'
import { mailServer } from './mail-server.ts'

const channels = '/api/v3/channels/'
const unconfirmed = 'the recipient has not confirmed that mails are wanted at this address'
const admin = { authorization: 'Bearer test-admin-token-000000000000000000' }

async function house(t: TestContext, env: Record<string, string> = {}) {
  const { port, mails } = await mailServer(t)
  const running = await build(t, {
    SMTP_RELAY_HOST: '127.0.0.1',
    SMTP_RELAY_PORT: String(port),
    SMTP_RELAY_SECURITY: 'none',
    SMTP_RELAY_FROM: 'Flatline <alerts@example.org>',
    FLATLINE__ALERTING__INTERVAL_MS: '50',
    ...env,
  })
  const { call } = running
  const own = { title: 'BUY NOW', body: 'own words' }
  return {
    ...running,
    mails,
    async channel(to: string, headers?: Record<string, string>): Promise<string> {
      const answer = await call('POST', channels, { kind: 'email', name: 'SPAM', settings: { to, ...own } }, headers)
      assert.equal(answer.status, 201)
      return String(answer.json().id)
    },
    change: (id: string, to: string) => call('PATCH', `${channels}${id}/`, { settings: { to, ...own } }),
    tried: async (id: string, headers?: Record<string, string>) =>
      (await call('POST', `${channels}${id}/test/`, undefined, headers)).json(),
    async asked(count: number): Promise<string> {
      await eventually('the mail that asks', () => mails.length === count)
      const plain = (mails.at(-1) ?? '').replace(/=\r\n/g, '').replaceAll('=3D', '=')
      const link = /https?:\/\/\S+\/confirm\/[\w-]+/.exec(plain)?.[0] ?? ''
      assert.ok(link, plain)
      assert.doesNotMatch(plain, /BUY NOW|own words|SPAM/)
      return link
    },
  }
}

/** Waits until no delivery is pending. */
async function settled(databaseUrl: string): Promise<void> {
  await eventually('nothing to be left', async () => {
    const open = `SELECT 1 FROM deliveries WHERE status IN ('pending', 'retrying') UNION ALL SELECT 1 FROM flips WHERE processed_at IS NULL`
    return (await sql(databaseUrl, open)).length === 0
  })
}

suite('the recipient of mails', () => {
  test('a mail recipient is asked once, and gets nothing else before confirming', async (t) => {
    const { channel, tried, asked, mails, call, databaseUrl } = await house(t)
    const id = await channel('ops@example.net')
    const link = await asked(1)
    assert.deepEqual(await tried(id), { delivered: false, error: unconfirmed })
    const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'nightly', channels: '*' })).json()
    await call('POST', `/ping/${uuid}/fail`, undefined, {})
    await settled(databaseUrl)
    const opened = await fetch(link)
    assert.deepEqual([opened.status, /<form method="post">/.test(await opened.text())], [200, true])
    assert.deepEqual(await tried(id), { delivered: false, error: unconfirmed })
    assert.equal(mails.length, 1)

    assert.equal((await fetch(link, { method: 'POST' })).status, 200)
    assert.deepEqual(await tried(id), { delivered: true, error: null })
    assert.doesNotMatch(mails.at(-1) ?? '', /BUY NOW|own words/)
    await call('POST', `/ping/${uuid}`, undefined, {})
    await call('POST', `/ping/${uuid}/fail`, undefined, {})
    await eventually('the alert', () => mails.some((mail) => /Subject: BUY NOW/.test(mail)))
    const audit = await sql<{ actor: string }>(
      databaseUrl,
      "SELECT actor FROM audit WHERE action = 'recipient.confirm'",
    )
    assert.deepEqual(audit, [{ actor: 'recipient' }])
  })

  test('every address of a change must confirm in each project, in whatever spelling', async (t) => {
    const { channel, change, tried, asked, mails, call } = await house(t)
    const id = await channel('ops@example.net')
    await fetch(await asked(1), { method: 'POST' })
    const same = await channel('Ops@Example.NET')
    assert.equal((await tried(same)).delivered, true)
    assert.equal((await change(id, 'OPS@example.net')).status, 200)
    assert.equal((await tried(id)).delivered, true)
    const before = mails.length
    assert.equal((await change(id, 'victim@example.net')).status, 200)
    await asked(before + 1)
    assert.deepEqual(await tried(id), { delivered: false, error: unconfirmed })

    const { api_key } = (await call('POST', '/api/v3/projects/', { name: 'other' }, admin)).json()
    const own = { 'x-api-key': String(api_key) }
    const other = await channel('ops@example.net', own)
    await asked(before + 2)
    assert.deepEqual(await tried(other, own), { delivered: false, error: unconfirmed })
    assert.equal(mails.length, before + 2)
  })

  test('a recipient is asked at most once an hour, and a project asks at most ten', async (t) => {
    const { channel, tried, mails, databaseUrl } = await house(t)
    for (let n = 0; n < 5; n++) await tried(await channel('one@example.net'))
    await settled(databaseUrl)
    assert.equal(mails.length, 1)
    for (let n = 0; n < 20; n++) await channel(`${n}@example.net`)
    await settled(databaseUrl)
    assert.equal(mails.length, 10)
  })

  test('a recipient is asked even if the address changed many times within one second', async (t) => {
    const { channel, change, mails, databaseUrl } = await house(t)
    const id = await channel('0@example.net')
    for (let n = 1; n < 6; n++) assert.equal((await change(id, `${n}@example.net`)).status, 200)
    await settled(databaseUrl)
    const asked = mails.map((mail) => /^To: (\S+)/m.exec(mail)?.[1])
    assert.equal(new Set(asked).size, asked.length, 'nobody is asked two times')
    assert.ok(asked.includes('5@example.net'), 'whom the channel mails now is asked')
  })

  test('a recipient confirms again after unsubscribing, but not for channels older than the rule', async (t) => {
    const { channel, change, tried, asked, mails, call, databaseUrl } = await house(t)
    const id = await channel('ops@example.net')
    const confirm = await asked(1)
    await fetch(confirm, { method: 'POST' })
    assert.equal((await fetch(confirm, { method: 'POST' })).status, 200, 'a second press does no harm')
    await tried(id)
    // What was asked an hour ago, by a link that is good for a week.
    await sql(databaseUrl, "UPDATE mail_recipients SET asked_at = asked_at - interval '1 hour'")
    const decline = /List-Unsubscribe: <([^>]+)>/i.exec(mails.at(-1)?.replace(/\r\n\s+/g, ' ') ?? '')?.[1] ?? ''
    // Links contain times in whole seconds.
    await sql(databaseUrl, 'SELECT pg_sleep(1.1)')
    assert.equal((await fetch(decline, { method: 'POST' })).status, 200)
    assert.equal((await fetch(confirm, { method: 'POST' })).status, 404, 'who has unsubscribed since stays so')
    assert.equal((await change(id, 'ops@example.net')).status, 200)
    assert.deepEqual(await tried(id), { delivered: false, error: unconfirmed })
    assert.equal((await call('GET', `${channels}${id}/`)).json().disabled, null)

    const old = await channel('old@example.net')
    await sql(databaseUrl, 'UPDATE channels SET recipient_confirmed = true WHERE id = $1', [old])
    assert.equal((await tried(old)).delivered, true)
    await call('PATCH', `${channels}${old}/`, { settings: { to: 'old@example.net' } })
    assert.equal((await tried(old)).delivered, true)
  })

  test('invalid, altered and unrelated links confirm nothing', async (t) => {
    const { channel, asked, tried, url } = await house(t)
    const id = await channel('ops@example.net')
    const link = await asked(1)
    const token = link.split('/').at(-1) ?? ''
    const altered = token.slice(0, 40) + (token[40] === 'A' ? 'B' : 'A') + token.slice(41)
    for (const wrong of ['x', altered, token.slice(0, -3)])
      for (const method of ['GET', 'POST'])
        assert.equal((await fetch(`${url}/confirm/${wrong}`, { method })).status, 404, wrong)
    assert.equal((await fetch(`${url}/acknowledge/${token}`, { method: 'POST' })).status, 404)
    assert.deepEqual(await tried(id), { delivered: false, error: unconfirmed })
  })

  test('a recipient gets at most as many mails per project and hour as the operator allows', async (t) => {
    const env = { CONFIRM_RECIPIENTS: 'false', FLATLINE__ALERTING__MAILS_PER_HOUR: '3' }
    const { channel, tried, mails } = await house(t, env)
    const ids = [await channel('a@example.net'), await channel('b@example.net')]
    const results: unknown[] = []
    for (const id of [...ids, ...ids]) results.push((await tried(id)).error)
    assert.deepEqual(results, [null, null, null, 'the project has sent as many mails within the hour as it may'])
    assert.equal(mails.length, 3)
  })
})
