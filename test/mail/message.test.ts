// How messages are read: as mail programs write them, malformed ones, and those of an attacker.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSettings } from '../../src/checks/fields/fields.ts'
import { decideKind } from '../../src/core/heartbeat.ts'
import { readableMessage, readMessage } from '../../src/mail/message.ts'
import { renderedText } from '../../src/mail/rendered.ts'

const read = (message: string | Buffer) => {
  const raw = typeof message === 'string' ? Buffer.from(message) : message
  const { subject, plain, html } = readMessage(raw, { texts: true })
  return { subject, plain: plain.trim(), html }
}

test('the text of HTML is what a reader sees', () => {
  const rows: [html: string, text: string][] = [
    ['wor<b>ld</b>', 'world'],
    ['<p>1 job finished, 1\njob failed</p>', '1 job finished, 1 job failed'],
    ['<p>\n\t\t1 job\r\n\t\tfailed\n</p>', '1 job failed'],
    ['1&nbsp;job&#160;failed', '1 job failed'],
    ['1 job fai&shy;led&#8203;', '1 job failed'],
    ['<table><tr><td>one</td><td>two</td></tr><tr><td>three</table>', 'one two\nthree'],
    ['<div>a</div><div>b</div>c<br>d<br/>e', 'a\nb\nc\nd\ne'],
    ['<p>a<p>b</p> <ul><li>c<li>d</ul>', 'a\n\nb\n\nc\nd'],
    ['<pre>  a\n\n    b  c</pre>d', 'a\n\n    b  c\n\nd'],
    ['a &amp; b &#233; &lt;c&gt; &euro;', 'a & b é <c> €'],
    ['<style>.ERROR{}</style><script>ERROR</script><title>ERROR</title>fine', 'fine'],
    ['<STYLE type="a">x</b></STYLE >fine', 'fine'],
    ['<!-- ERROR --><!--[if mso]>ERROR<![endif]-->fine<a title="ERROR" href=ERROR>!</a>', 'fine!'],
    ['<div style="color:red; DISPLAY : none">ERROR<div>ERROR</div>ERROR</div>fine', 'fine'],
    ['<p hidden>ERROR</p><span style="visibility:hidden">ERROR</span><template>ERROR</template>fine', 'fine'],
    ['<img hidden src=x>fine<wbr hidden>too', 'finetoo'],
    ['1 < 2', '1 < 2'],
    ['unclosed <style> is all the rest', 'unclosed'],
    ['</p></div></pre>fine', 'fine'],
    ['', ''],
  ]
  for (const [html, expected] of rows) assert.equal(renderedText(html), expected, html)
})

test('a malformed declaration of a text loses none of the text', () => {
  const text = 'Subject: s\r\n'
  const rows: [name: string, message: string | Buffer, plain: string][] = [
    ['no header', 'no header at all', 'no header at all'],
    ['no body', 'Subject: s', ''],
    ['mailbox line', 'From root Sun Nov 29 2026\nSubject: s\n\nx', 'x'],
    ['line feeds alone', 'Subject: s\n\nx', 'x'],
    ['no blank line', 'Subject: s\r\nthis is no header\r\nx', 'this is no header\r\nx'],
    ['a type that is none', `${text}Content-Type: text\r\n\r\nx`, 'x'],
    ['an empty type', `${text}Content-Type:\r\n\r\nx`, 'x'],
    ['a broken type', `${text}Content-Type: ;;; =?"\r\n\r\nx`, 'x'],
    ['a set that is none', `${text}Content-Type: text/plain; charset=x-none\r\n\r\nf\u00fcr`, 'f\u00fcr'],
    ['an empty set', `${text}Content-Type: text/plain; charset=""\r\n\r\nf\u00fcr`, 'f\u00fcr'],
    ['an encoding that is none', `${text}Content-Transfer-Encoding: 9bit\r\n\r\nx=3D`, 'x=3D'],
    ['base64 that is none', `${text}Content-Transfer-Encoding: base64\r\n\r\n1 job failed!`, '1 job failed!'],
    ['lines below base64', `${text}Content-Transfer-Encoding: base64\r\n\r\nam9i\r\n-- the list`, 'job-- the list'],
    [
      'quoted-printable cut short',
      `${text}Content-Transfer-Encoding: quoted-printable\r\n\r\nf=C3=BCr =4`,
      'f\u00fcr =4',
    ],
    ['parts without a boundary', `${text}Content-Type: multipart/mixed\r\n\r\nx`, 'x'],
    ['a boundary that is nowhere', `${text}Content-Type: multipart/mixed; boundary=b\r\n\r\nx`, 'x'],
    [
      'parts without an end',
      `${text}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny`,
      'x\r\n\ny',
    ],
    ['latin1 that says nothing', Buffer.from('Subject: s\r\n\r\nf\xfcr', 'latin1'), 'f\u00fcr'],
    [
      'latin1 that says UTF-8',
      Buffer.from(`${text}Content-Type: text/plain; charset=utf-8\r\n\r\nf\xfcr`, 'latin1'),
      'f\u00fcr',
    ],
    [
      'a named set',
      Buffer.from(`${text}Content-Type: text/plain; charset=KOI8-R\r\n\r\n\xc4\xc1`, 'latin1'),
      '\u0434\u0430',
    ],
    ['a set of old', Buffer.from(`${text}Content-Type: text/plain; charset=cp437\r\n\r\nf\x81r`, 'latin1'), 'f\u00fcr'],
    [
      'a file of text',
      `${text}Content-Type: application/json\r\nContent-Disposition: attachment\r\n\r\n{"ok":1}`,
      '{"ok":1}',
    ],
    ['a NUL', 'Subject: s\r\n\r\na\0b', 'a\0b'],
  ]
  for (const [name, message, plain] of rows) assert.equal(read(message).plain, plain, name)
})

test('a subject is decoded and unfolded, in whatever form it is written', () => {
  const rows: [header: string | Buffer, subject: string][] = [
    ['Subject: plain', 'plain'],
    ['SUBJECT : plain', 'plain'],
    ['Subject: a\r\n b\r\n\tc', 'a b c'],
    ['Subject: =?utf-8?B?RmVydGlnIGbDvHI=?= =?UTF-8?q?_heute?=', 'Fertig f\u00fcr heute'],
    ['Subject: =?iso-8859-1?Q?f=FCr?=', 'f\u00fcr'],
    ['Subject: =?x-none?Q?fur?=', 'fur'],
    ['Subject: f\u00fcr', 'f\u00fcr'],
    [Buffer.from('Subject: f\xfcr', 'latin1'), 'f\u00fcr'],
    ['Subject: first\r\nSubject: second', 'first'],
    ['X: y', ''],
  ]
  for (const [header, subject] of rows) {
    const raw = Buffer.concat([Buffer.from('From: a@b\r\n'), Buffer.from(header), Buffer.from('\r\n\r\nx')])
    assert.equal(readMessage(raw, { texts: false }).subject, subject, String(header))
  }
})

const mixed = (type: string, ...parts: string[]) =>
  `Subject: =?utf-8?b?${Buffer.from('nächtlich').toString('base64')}?=\r\nContent-Type: multipart/${type}; boundary="=_b"\r\n\r\n` +
  `preamble\r\n${parts.map((part) => `--=_b\r\n${part}\r\n`).join('')}--=_b--\r\nepilogue`

const base64 = (text: string) => Buffer.from(text).toString('base64').replace(/.{20}/g, '$&\r\n')

test('the texts of all parts are read, but not attachments', () => {
  const message = mixed(
    'mixed',
    'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
      base64('1 job failed für heute'),
    'Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>1 job=\r\n finished</p>',
    'Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a\r\n\r\nATTACHED',
    'Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA',
    'Content-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\n\r\ndeep\r\n--inner--',
  )
  const { subject, plain, html } = read(message)
  assert.equal(subject, 'nächtlich')
  assert.match(plain, /1 job failed für heute[\s\S]*deep/)
  assert.doesNotMatch(plain, /ATTACHED|AAAA|preamble|epilogue/)
  assert.equal(html, '1 job finished')
})

test('the readable form has subject and text once, without any encoding', () => {
  const text = `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64('1 job für heute')}`
  const page = 'Content-Type: text/html\r\n\r\n<p>1&nbsp;job</p>'
  assert.equal(readableMessage(Buffer.from(mixed('alternative', text, page))), 'nächtlich\n\n1 job für heute')
  assert.equal(readableMessage(Buffer.from(mixed('alternative', page))), 'nächtlich\n\n1 job')
  assert.equal(readableMessage(Buffer.from('')), '')
})

test('every message of a megabyte is read quickly', () => {
  const filled = (before: string, unit: string) => before + unit.repeat(1_000_000 / unit.length)
  const html = 'Content-Type: text/html\r\n\r\n'
  const parts = 'Content-Type: multipart/mixed; boundary=a\r\n\r\n'
  const dashes = 'Content-Type: multipart/mixed; boundary="-"\r\n\r\n'
  const pages = ['<', '<b>', '<!--', '<style>', '&amp', '<p>x</p>', '<div hidden>', '</p>', '&nbsp;', '<pre>\n', ' ']
  const headers = ['a@b.c, ', '"', '(', '<a', 'g:a@b;', 'x\r\n ']
  const subjects = ['x\r\n ', '=?utf-8?Q?a?= ', '=?', ' ']
  const encoded = (encoding: string) => `Content-Transfer-Encoding: ${encoding}\r\n\r\n`
  const messages = [
    ...pages.map((unit) => filled(html, unit)),
    ...['--a\r\n\r\nx\r\n', `--a\r\n${html}x\r\n`, '--a\r\n', '--a', parts].map((unit) => filled(parts, unit)),
    ...headers.map((unit) => filled('To: ', unit)),
    ...subjects.map((unit) => filled('Subject: ', unit)),
    ...['; a=b', '; a*0=b', '; a="'].map((unit) => filled('Content-Type: text/plain', unit)),
    ...['a: b\r\n', 'Subject: x\r\n', 'x', 'x\r\n', '\r\n'].map((unit) => filled('', unit)),
    ...['=\r\n', '=3D', '='].map((unit) => filled(encoded('quoted-printable'), unit)),
    ...['\r\n', ' ', 'eHh4', 'eHh4\r\n', '='].map((unit) => filled(encoded('base64'), unit)),
    ...[' ', '\t', 'eHh4', '='].map((unit) => `${filled(encoded('base64'), unit)}!`),
    ...['-', '\n---!', '\n---'].map((unit) => filled(`${dashes}---\r\n`.repeat(19), unit)),
    filled('Content-Type: message/rfc822\r\n\r\n', 'Content-Type: message/rfc822\r\n\r\n'),
  ]
  for (const message of messages) {
    // Of this process, whatever else the machine does.
    const before = process.cpuUsage()
    readMessage(Buffer.from(message), { texts: true })
    const { user, system } = process.cpuUsage(before)
    assert.ok(user + system < 1_000_000, `${message.slice(0, 60)}: ${user + system} µs`)
  }
})

test('an unused header of a megabyte costs next to nothing', () => {
  const raw = Buffer.from(`To: ${'a@b.c, '.repeat(150_000)}\r\nSubject: s\r\n\r\nx`)
  const before = process.cpuUsage()
  for (let times = 0; times < 20; times++) assert.equal(readMessage(raw, { texts: true }).subject, 's')
  assert.ok(process.cpuUsage(before).user < 500_000)
})

test('every text of a megabyte is compared with keywords quickly, for any number of checks', () => {
  const filters = { ...defaultSettings, filterBody: true, failureKw: 'never, e\u0301' }
  const marks = 'a'.repeat(10) + '\u0301'.repeat(250_000) + '\u0316'.repeat(250_000)
  const texts = [marks, '\u1100\u1161\u11a8'.repeat(300_000), '\u0344'.repeat(500_000), 'word '.repeat(200_000)]
  for (const text of texts) {
    const mail = { subject: '', text }
    const before = process.threadCpuUsage()
    for (let check = 0; check < 20; check++)
      assert.equal(decideKind(filters, 'up', { kind: 'success', method: '', body: null, mail }), 'ign')
    const { user, system } = process.threadCpuUsage(before)
    assert.ok(user + system < 500_000, `${text.slice(0, 20)}: ${user + system} µs`)
  }
  const composed = { subject: '', text: 'job \u00e9tait' }
  assert.equal(decideKind(filters, 'up', { kind: 'success', method: '', body: null, mail: composed }), 'fail')
})
