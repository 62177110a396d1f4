// How addresses are parsed (https://healthchecks.io/docs/email/), without a connection.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRecipient, userAgentOf } from '../../../src/ingest/dialects/email/email-address.ts'
import { readEnvelope } from '../../../src/ingest/dialects/email/smtp-connection.ts'

const uuid = '7ee19028-4db8-5d96-869a-9fe795a69688'
const pingKey = 'abcDEF_hijklmnopqr-123'

test('a mailbox is a uuid, or a ping key and a slug', () => {
  const rows: [address: string, domain: string | undefined, recipient: unknown][] = [
    [`${uuid}@x`, undefined, { checkId: uuid }],
    [`${uuid.toUpperCase()}@x`, 'X', { checkId: uuid }],
    [`${pingKey}+a-b_9@x.example`, undefined, { pingKey, slug: 'a-b_9' }],
    [`${uuid}@y`, 'x', 'rejected'],
    [`${uuid}@x@y`, 'x', 'rejected'],
    [`${uuid}@`, 'x', 'rejected'],
    [uuid, undefined, { checkId: uuid }],
    [uuid, 'x', { checkId: uuid }],
    [`"${uuid}"@x`, 'x', { checkId: uuid }],
    [`"${pingKey}\\+a"@x`, 'x', { pingKey, slug: 'a' }],
    [`${uuid}@X.`, 'x', { checkId: uuid }],
    [`${uuid}@b\u00fcro.example`, 'xn--bro-hoa.example', { checkId: uuid }],
    [`${uuid}@[127.0.0.1]`, undefined, { checkId: uuid }],
    [`${uuid}@[127.0.0.1]`, 'x', 'rejected'],
    [`"${uuid}@x`, undefined, 'invalid'],
    ['@x', undefined, 'invalid'],
    [`${uuid} @x`, undefined, 'invalid'],
    [`${pingKey}@x`, undefined, 'invalid'],
    [`${pingKey}+@x`, undefined, 'invalid'],
    [`${pingKey}+A@x`, undefined, 'invalid'],
    [`${pingKey}+a+b@x`, undefined, 'invalid'],
    [`${pingKey}+${'a'.repeat(101)}@x`, undefined, 'invalid'],
  ]
  for (const [address, domain, recipient] of rows)
    assert.deepEqual(parseRecipient(address, domain), recipient, `${address} ${domain}`)
})

test('the sender is stored in the length that the history can hold', () => {
  assert.equal(userAgentOf('cron@example.org'), 'Email from cron@example.org')
  assert.equal(userAgentOf(''), 'Email from ')
  assert.doesNotMatch(userAgentOf('a\0b'), /\0/)
})

test('an envelope is parsed as Postfix parses it', () => {
  const rows: [command: string, address: string | null, parameters?: string][] = [
    ['MAIL FROM:<a@b.c>', 'a@b.c'],
    ['MAIL FROM:<a@b.c> SIZE=10 BODY=8BITMIME', 'a@b.c', 'SIZE=10 BODY=8BITMIME'],
    ['mail  from : < a@b.c >', 'a@b.c'],
    ['MAIL FROM:<>', ''],
    ['MAIL FROM: <>', ''],
    ['MAIL FROM:a@b.c', 'a@b.c'],
    ['MAIL FROM: a@b.c SIZE=10', 'a@b.c', 'SIZE=10'],
    ['MAIL FROM:<root>', 'root'],
    ['MAIL FROM:root', 'root'],
    ['MAIL FROM:<user.@b.c>', 'user.@b.c'],
    ['MAIL FROM:<.a..b@c-.d_e>', '.a..b@c-.d_e'],
    ['MAIL FROM:<a@b@c>', 'a@b@c'],
    ['MAIL FROM:<a@[10.0.0.1]>', 'a@[10.0.0.1]'],
    ['MAIL FROM:<a@b.c.>', 'a@b.c.'],
    ['MAIL FROM:"Cron <x>" <a@b.c> SIZE=1', 'a@b.c', 'SIZE=1'],
    ['MAIL FROM:Cron Daemon <a@b.c>', 'a@b.c'],
    ['MAIL FROM:<"a b>"@c.d>', '"a b>"@c.d'],
    ['MAIL FROM:<@relay.example,@other.example:a@b.c>', 'a@b.c'],
    [
      `MAIL FROM:<prvs=1=${'a'.repeat(300)}@${'b'.repeat(60)}.example>`,
      `prvs=1=${'a'.repeat(300)}@${'b'.repeat(60)}.example`,
    ],
    ['MAIL FROM:', null],
    ['MAIL FROM', null],
    ['MAIL TO:<a@b.c>', null],
    ['MAIL FROM:<a@b.c', null],
    ['MAIL FROM:<a\u0000@b.c>', null],
    [`MAIL FROM:<${'a'.repeat(2000)}@b.c>`, null],
  ]
  for (const [command, address, parameters = ''] of rows)
    assert.deepEqual(readEnvelope('mail from', command), address === null ? null : { address, parameters }, command)
  assert.deepEqual(readEnvelope('rcpt to', `RCPT TO: ${uuid} NOTIFY=NEVER`), {
    address: uuid,
    parameters: 'NOTIFY=NEVER',
  })
})
