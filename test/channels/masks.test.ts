// The secret behind a mask is never sent to another host than the one that it was given for, for any kind of channel.

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { masked, maskProblem, settingsProblem, unmasked } from '../../src/channels/settings.ts'
import { transports } from '../../src/channels/transports.ts'
import type { Transport } from '../../src/channels/wire/transport.ts'
import { build, createReceiver } from '../helper.ts'

type Settings = Record<string, unknown>
type Property = { secret?: true | 'url'; url?: true; default?: string }

const sid = `AC${'0'.repeat(32)}`
const thirty = 'a'.repeat(30)
const secret = 'T0PSECRET'

/** Settings of each kind that has a secret and an address; one entry for each way to give addresses. */
const cases: [kind: string, settings: (origin: string) => Settings][] = [
  ['alertmanager', (url) => ({ url, token: secret })],
  ['alertmanager', (url) => ({ url, user: 'me', password: secret })],
  ['apprise', (url) => ({ url, urls: `json://${secret}` })],
  [
    'call',
    (url) => ({ account_sid: sid, auth_token: secret, to: '+4915112345678', from: '+4915112345679', api_url: url }),
  ],
  ['discord', (url) => ({ url: `${url}/${secret}` })],
  ['github', (url) => ({ repo: 'a/b', token: secret, api_url: url })],
  ['googlechat', (url) => ({ url: `${url}/${secret}` })],
  ['gotify', (url) => ({ url, token: secret })],
  ['jsm', (url) => ({ api_key: secret, api_url: url })],
  ['matrix', (url) => ({ homeserver: url, token: secret, room_id: '!abc:example.org' })],
  ['mattermost', (url) => ({ url: `${url}/${secret}` })],
  ['msteams', (url) => ({ url: `${url}/${secret}` })],
  ['ntfy', (url) => ({ url, topic: 'alerts', token: secret })],
  ['opsgenie', (url) => ({ api_key: secret, api_url: url })],
  ['pagerduty', (url) => ({ routing_key: 'a'.repeat(32), api_url: url })],
  ['pushbullet', (url) => ({ token: secret, api_url: url })],
  ['pushover', (url) => ({ token: thirty, user: thirty, api_url: url })],
  ['rocketchat', (url) => ({ url: `${url}/${secret}` })],
  [
    'signal',
    (url) => ({ api_url: url, number: '+4915112345678', recipients: ['+4915112345679'], user: 'me', password: secret }),
  ],
  ['slack', (url) => ({ url: `${url}/${secret}` })],
  [
    'sms',
    (url) => ({ account_sid: sid, auth_token: secret, to: '+4915112345678', from: '+4915112345679', api_url: url }),
  ],
  ['telegram', (url) => ({ token: `123:${secret}`, chat_id: '1', api_url: url })],
  ['victorops', (url) => ({ url: `${url}/${secret}` })],
  ['webhook', (url) => ({ url: `${url}/${secret}`, headers: { authorization: secret }, secret })],
  [
    'webhook',
    (url) => ({ url_down: `${url}/${secret}`, method_down: 'POST', headers_down: { a: secret }, body_down: secret }),
  ],
  [
    'webhook',
    (url) => ({
      url_down: 'https://down.example/',
      headers_down: { a: secret },
      url_up: `${url}/up`,
      headers_up: { a: secret },
    }),
  ],
  ['zulip', (url) => ({ site: url, bot_email: 'a@b.example', api_key: secret, to: 'ops' })],
]

const propertiesOf = ({ settings }: Transport) =>
  Object.entries((settings as unknown as { properties: Record<string, Property> }).properties)
const isAddress = ([, { url, secret }]: [string, Property]) => url === true || secret === 'url'
const kindOf = (kind: string) => (transports as Record<string, Transport>)[kind] as Transport

/** The first rule that a change from `stored` to `given`, with masks in it, breaks. */
function problemOf(kind: string, given: unknown, stored: Settings) {
  const settings = unmasked(kindOf(kind), given, stored)
  return maskProblem(kindOf(kind), settings) ?? settingsProblem(kindOf(kind), settings)
}

suite('a mask', () => {
  test('masks are tested for every kind that sends a secret to an address', () => {
    const kinds = Object.values(transports as Record<string, Transport>).filter((transport) => {
      const properties = propertiesOf(transport)
      const hides = JSON.stringify(transport.settings).includes('"secret"')
      return hides && properties.some(isAddress)
    })
    assert.deepEqual([...new Set(cases.map(([kind]) => kind))].sort(), kinds.map(({ kind }) => kind).sort())
  })

  for (const [kind, settingsOf] of cases) {
    const stored = settingsOf('https://old.example')
    const shown = masked(kindOf(kind), stored) as Settings
    const addresses = propertiesOf(kindOf(kind)).filter(isAddress)

    test(`a mask of ${kind} (${Object.keys(stored).join(', ')}) is refused at another origin`, () => {
      assert.equal(JSON.stringify(shown).includes(secret), false)
      for (const [field] of addresses.filter(([name]) => name in shown)) {
        for (const origin of [
          'https://new.example',
          'https://old.example:8443',
          'http://old.example',
          'https://old.example.evil.example',
        ])
          for (const path of ['', '/x', `/${'*'.repeat(8)}`]) {
            const found = problemOf(kind, { ...shown, [field]: `${origin}${path}` }, stored)
            if (field === 'url' && Object.keys(stored).join() === 'url' && path !== `/${'*'.repeat(8)}`)
              assert.equal(found, undefined, 'an address that is the only secret may be replaced')
            else assert.match(found?.rule ?? '', /^must be written in full/, `${field}: ${origin}${path}`)
          }
      }
    })

    test(`a mask of ${kind} (${Object.keys(stored).join(', ')}) keeps the secret at the same origin`, () => {
      assert.equal(problemOf(kind, shown, stored), undefined)
      assert.deepEqual(unmasked(kindOf(kind), shown, stored), stored)
    })
  }

  test('a mask is refused once an address replaces that of the vendor, or is removed', () => {
    for (const [kind, settingsOf] of cases)
      for (const [field, { default: vendor }] of propertiesOf(kindOf(kind)).filter(isAddress)) {
        if (vendor === undefined) continue
        const { [field]: _own, ...bare } = settingsOf('https://old.example')
        const shown = masked(kindOf(kind), bare) as Settings
        assert.match(problemOf(kind, { ...shown, [field]: 'https://new.example' }, bare)?.rule ?? '', /in full/, kind)
        assert.equal(problemOf(kind, { ...shown, [field]: vendor }, bare), undefined, kind)
        const full = settingsOf('https://old.example')
        const { [field]: _gone, ...without } = masked(kindOf(kind), full) as Settings
        assert.match(problemOf(kind, without, full)?.rule ?? '', /in full/, kind)
      }
  })

  test('a mask of one webhook direction is refused once the other direction changes its address', () => {
    const stored = { url_down: 'https://old.example/', headers_down: { a: secret } }
    const shown = { url_down: 'https://old.example/********', headers_down: { a: '********' } }
    const added = { ...shown, url_up: 'https://new.example/', headers_up: { a: '********' } }
    assert.match(problemOf('webhook', added, stored)?.rule ?? '', /^must be written in full/)
  })

  test('the service refuses a mask with a new host, and a test sends the secret nowhere', async (t) => {
    const { call } = await build(t)
    const [old, thief] = [await createReceiver(t), await createReceiver(t)]
    const path = '/api/v3/channels/'
    for (const [kind, field, settings] of [
      ['gotify', 'token', { url: old.url, token: secret }],
      ['ntfy', 'token', { url: old.url, topic: 'alerts', token: secret }],
      ['telegram', 'token', { api_url: old.url, token: `123:${secret}`, chat_id: '1' }],
      ['webhook', 'secret', { url: old.url, secret }],
    ] as const) {
      const { id } = (await call('POST', path, { kind, name: kind, settings })).json()
      const shown = (await call('GET', `${path}${id}/`)).json().settings as Settings
      const moved = { ...shown, ['api_url' in settings ? 'api_url' : 'url']: thief.url }
      const refused = await call('PATCH', `${path}${id}/`, { settings: moved })
      assert.deepEqual([refused.status, refused.json().field], [400, `settings.${field}`], kind)
      await call('POST', `${path}${id}/test/`)
    }
    assert.equal(thief.received.length, 0)
    assert.equal(old.received.length, 4)
  })
})
