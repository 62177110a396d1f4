import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { adminToken, build, createReceiver } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

const admin = { authorization: `Bearer ${adminToken}` }
const key = () => randomBytes(32).toString('hex')

test('channels keep working while an encryption key is added, moved first, used, and the old one dropped', async (t) => {
  const DATABASE_URL = await createDatabase(t)
  const [before, after] = [key(), key()]
  const replica = (keys: string[]) => build(t, { DATABASE_URL, ENCRYPTION_KEY: keys.join(',') })
  const receiver = await createReceiver(t)
  const settings = { url: receiver.url }
  const old = await replica([before])
  const create = async (on: typeof old, name: string): Promise<string> =>
    String((await on.call('POST', '/api/v3/channels/', { kind: 'webhook', name, settings })).json().id)
  const works = async (on: typeof old, id: string) =>
    (await on.call('POST', `/api/v3/channels/${id}/test/`)).json().delivered

  const ids = [await create(old, 'one'), await create(old, 'two')]
  const check = (await old.call('POST', '/api/v3/checks/', { name: 'signed' })).json()
  assert.equal((await old.call('POST', `/api/v3/checks/${check.uuid}/signing-secret/rotate/`)).status, 200)
  const knowing = await replica([before, after])
  const using = await replica([after, before])
  ids.push(await create(using, 'three'))
  for (const id of ids) assert.equal(await works(knowing, id), true, 'a replica that only knows the new key reads it')

  const reencrypt = async (on: typeof old) => (await on.call('POST', '/admin/reencrypt', undefined, admin)).json()
  assert.deepEqual(await reencrypt(using), { channels: 3, checks: 1, reencrypted: 3, unreadable: 0 })
  assert.deepEqual(await reencrypt(using), { channels: 3, checks: 1, reencrypted: 0, unreadable: 0 })
  const done = await replica([after])
  for (const id of ids) assert.equal(await works(done, id), true, 'the old key is not needed any more')
  const audit = await sql<{ actor: string; detail: object }>(
    DATABASE_URL,
    "SELECT actor, detail FROM audit WHERE action = 'channel.reencrypt' ORDER BY id",
  )
  assert.deepEqual(audit, [
    { actor: 'admin', detail: { reencrypted: 2 } },
    { actor: 'admin', detail: { reencrypted: 1 } },
  ])
  const refusal = async (on: typeof old) => (await on.call('GET', `/ping/${check.uuid}`, undefined, {})).text
  assert.match(await refusal(done), /requires signed heartbeats/, 'the signing secret of the check is read')

  const stranger = await replica([key()])
  assert.deepEqual(await reencrypt(stranger), { channels: 3, checks: 1, reencrypted: 0, unreadable: 4 })
  assert.match(await refusal(stranger), /cannot be read/)
  for (const id of ids) assert.equal(await works(done, id), true, 'what cannot be read is left as it is')
})

test('more channels than one page holds are re-encrypted, and each stays bound to its row', async (t) => {
  const DATABASE_URL = await createDatabase(t)
  const [before, after] = [key(), key()]
  const old = await build(t, { DATABASE_URL, ENCRYPTION_KEY: before, FLATLINE__QUOTAS__CHANNELS: '1000' })
  const settings = { url: 'http://127.0.0.1:9/' }
  const post = () => old.call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'n', settings })
  for (let i = 0; i < 26; i++) await Promise.all(Array.from({ length: 20 }, post))
  const using = await build(t, { DATABASE_URL, ENCRYPTION_KEY: `${after},${before}` })
  const both = await Promise.all([1, 2].map(() => using.call('POST', '/admin/reencrypt', undefined, admin)))
  const counts = both.map((answer) => answer.json() as { channels: number; reencrypted: number; unreadable: number })
  assert.deepEqual(
    counts.map(({ channels, unreadable }) => [channels, unreadable]),
    [
      [520, 0],
      [520, 0],
    ],
  )
  assert.equal(
    counts.reduce((sum, { reencrypted }) => sum + reencrypted, 0),
    520,
    'each once, whoever did it',
  )
  const done = await build(t, { DATABASE_URL, ENCRYPTION_KEY: after })
  assert.deepEqual((await done.call('POST', '/admin/reencrypt', undefined, admin)).json(), {
    channels: 520,
    checks: 0,
    reencrypted: 0,
    unreadable: 0,
  })
})
