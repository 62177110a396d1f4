// What is read of addresses and messages (the Healthchecks catalogue, section 2.7), without a wire.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRecipient, readMail, userAgentOf } from '../../src/heartbeats/protocols/email.ts'

const uuid = '7ee19028-4db8-5d96-869a-9fe795a69688'
const pingKey = 'abcDEF_hijklmnopqr-123'

test('a mailbox is a uuid, or a ping key and a slug', () => {
  const rows: [address: string, domain: string | undefined, recipient: unknown][] = [
    [`${uuid}@x`, undefined, { monitorId: uuid }],
    [`${uuid.toUpperCase()}@x`, 'X', { monitorId: uuid }],
    [`${pingKey}+a-b_9@x.example`, undefined, { pingKey, slug: 'a-b_9' }],
    [`${uuid}@y`, 'x', 'rejected'],
    [`${uuid}@x@y`, 'x', 'rejected'],
    [`${uuid}@`, 'x', 'rejected'],
    [uuid, undefined, 'invalid'],
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

test('the sender is named as the history can hold it', () => {
  assert.equal(userAgentOf('cron@example.org'), 'Email from cron@example.org')
  assert.equal(userAgentOf(''), 'Email from ')
  assert.doesNotMatch(userAgentOf('a\0b'), /\0/)
})

test('of HTML only what it shows is text', async () => {
  const text = async (html: string) =>
    (await readMail(Buffer.from(`Content-Type: text/html; charset=utf-8\r\n\r\n${html}`))).text.trim()
  const rows: [html: string, text: string][] = [
    ['wor<b>ld</b>', 'world'],
    ['<td>one</td><td>two</td>', 'one\n\ntwo'],
    ['a &amp; b &#233; &lt;c&gt;', 'a & b é <c>'],
    ['<style>.ERROR{}</style><script>ERROR</script><title>ERROR</title>fine', 'fine'],
    ['<STYLE type="a">x</b></STYLE >fine', 'fine'],
    ['<!-- ERROR -->fine<a title="ERROR" href=ERROR>!</a>', 'fine!'],
    ['1 < 2', '1 < 2'],
    ['unclosed <style> is all the rest', 'unclosed'],
  ]
  for (const [html, expected] of rows) assert.equal(await text(html), expected, html)
})

test('no message of a megabyte takes long to read, however it is made', async () => {
  const filled = (before: string, unit: string) => before + unit.repeat(1_000_000 / unit.length)
  const html = 'Content-Type: text/html\r\n\r\n'
  const mixed = 'Content-Type: multipart/mixed; boundary=a\r\n\r\n'
  const messages = [
    ...['<', '<b>', '<!--', '<style>', '&amp', '<p>x</p>'].map((unit) => filled(html, unit)),
    ...['--a\r\n\r\nx\r\n', `--a\r\n${html}x\r\n`, mixed].map((unit) => filled(mixed, unit)),
    ...['a@b.c, ', '"', '(', '<a', 'g:a@b;'].map((unit) => filled('To: ', unit)),
    ...['x\r\n ', '=?utf-8?Q?a?= ', '=?', ' '].map((unit) => filled('Subject: ', unit)),
    ...['line of output\r\n', 'x \r\n'].map((unit) => filled('\r\n', unit)),
  ]
  for (const message of messages) {
    // Of this process, whatever else the machine does. What takes too long takes minutes.
    const before = process.cpuUsage()
    await readMail(Buffer.from(message))
    const { user, system } = process.cpuUsage(before)
    assert.ok(user + system < 5_000_000, `${message.slice(0, 60)}: ${user + system} µs`)
  }
})
