// The pages of links in messages: what they say, to browsers and to programs.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { mailServer } from '../channels/mail-server.ts'
import { build, createReceiver, eventually } from '../helper.ts'

const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
const uuid = '1b6a8d0e-8c3f-4f0a-9d5e-0d6f3a2b1c0d'

test('a broken link shows a page to browsers and JSON to programs', async (t) => {
  const { call, url } = await build(t)
  for (const path of ['/acknowledge/x', '/checks/x', '/confirm/x/', `/api/v3/channels/${uuid}/unsubscribe/x`]) {
    const page = await call('GET', path, undefined, browser)
    assert.deepEqual([page.status, page.headers.get('content-type')], [404, 'text/html; charset=utf-8'], path)
    assert.match(page.text, /<h1>This link does not work<\/h1><p>It is incomplete/)
    const answer = await call('GET', path, undefined, {})
    assert.deepEqual([answer.status, answer.json().code], [404, 'not_found'], path)
  }
  const incomplete = await fetch(`${url}/api/v3/channels/${uuid.slice(0, 20)}/unsubscribe/x`, { headers: browser })
  assert.deepEqual([incomplete.status, /does not work/.test(await incomplete.text())], [400, true])
})

test('the policy of a page allows its style sheet and nothing else', async (t) => {
  const { call } = await build(t)
  const { text, headers } = await call('GET', '/acknowledge/x', undefined, browser)
  const [, style = ''] = /<style>(.*)<\/style>/.exec(text) ?? []
  assert.match(style, /color-scheme:light dark/)
  const hash = createHash('sha256').update(style).digest('base64')
  assert.equal(
    headers.get('content-security-policy'),
    `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  )
})

test('every page names the project and its check or channel, and says what happens', async (t) => {
  const { port, mails } = await mailServer(t)
  const { call } = await build(t, {
    SMTP_RELAY_HOST: '127.0.0.1',
    SMTP_RELAY_PORT: String(port),
    SMTP_RELAY_SECURITY: 'none',
    SMTP_RELAY_FROM: 'Flatline <alerts@example.org>',
  })
  const far = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: far.url } })
  const settings = { to: 'ops@example.net' }
  await call('POST', '/api/v3/channels/', { kind: 'email', name: 'Operations', settings })
  const links = (pattern: RegExp) =>
    mails.flatMap((mail) => pattern.exec(mail.replace(/=\r\n|(?<=:)\r\n(?=\s)/g, '').replaceAll('=3D', '='))?.[1] ?? [])
  const pathOf = (link: string | undefined) => new URL(link ?? '').pathname
  const says = async (method: string, path: string, ...texts: string[]) => {
    const { status, text } = await call(method, path, undefined, browser)
    assert.equal(status, 200, `${method} ${path}`)
    for (const expected of ['<p>Project default</p>', ...texts]) assert.ok(text.includes(expected), text)
  }

  const asking = /(http:\/\/\S+\/confirm\/[\w-]+)/
  await eventually('the mail that asks', () => links(asking).length === 1)
  const confirm = pathOf(links(asking)[0])
  await says('GET', confirm, 'Alerts by e-mail', 'once you confirm')
  await says('POST', confirm, 'Confirmed', 'You will get alerts of this project')

  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'nightly & <b>', channels: '*' })).json()
  await call('GET', `/ping/${uuid}/fail`, undefined, {})
  await eventually('the alert', () => far.received.length === 1)
  const { acknowledge, check } = JSON.parse(far.received[0]?.body ?? '').links
  await says('GET', pathOf(check), '<h1>nightly &#38; &#60;b&#62;</h1>', 'It is down.')
  await says('GET', pathOf(acknowledge), '<h1>nightly &#38; &#60;b&#62;</h1>', 'its reminders and its escalation end')
  await says('POST', pathOf(acknowledge), '<h1>nightly &#38; &#60;b&#62;</h1>', 'Acknowledged.')
  await says(
    'POST',
    `${pathOf(acknowledge)}/snooze/4`,
    '<h1>nightly &#38; &#60;b&#62;</h1>',
    'no alerts of this check until 2',
  )

  const declining = /List-Unsubscribe: <([^>]+)>/i
  await eventually('the mail of the alert', () => links(declining).length === 1)
  const unsubscribe = pathOf(links(declining)[0])
  await says('GET', unsubscribe, '<h1>Operations</h1>', 'it is switched off')
  await says('POST', unsubscribe, '<h1>Operations</h1>', 'You will get no more alerts')
})
