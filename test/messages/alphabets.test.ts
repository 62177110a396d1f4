import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Parser } from 'htmlparser2'
import { SaxesParser } from 'saxes'
import { formats } from '../../src/badges/addresses.ts'
import { nothing, render } from '../../src/badges/summary.ts'
import { isBlank, printable } from '../../src/kit/characters.ts'
import type { CheckMessage } from '../../src/messages/message.ts'
import { escaped, page } from '../../src/messages/page.ts'
import { placeholdersOf } from '../../src/messages/placeholders.ts'
import { expose } from '../../src/project-metrics/exposition.ts'
import { changed, down, form } from '../channels/transports/contract.ts'
import { kinds, tell } from '../channels/transports/subjects.ts'

/** Every character that some format unavailable, between letters. */
const nasty = [
  ...Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)),
  ...Array.from({ length: 0x21 }, (_, code) => String.fromCharCode(0x7f + code)),
  '\ud800',
  '\udfff',
  '\udc00\ud800',
  '\ufffe',
  '\uffff',
  '\u2028',
  '\u2029',
  '\u{1ffff}',
  ']]>',
  '<!--',
  '"\'&<>',
]
const text = nasty.map((character) => `a${character}`).join('')

const lacking: CheckMessage = {
  ...down,
  check: changed(down.check, { name: text.slice(0, 60), slug: text, tags: text, desc: text }),
  lastPing: {
    body: Buffer.concat([Buffer.from([0xed, 0xa0, 0x80, 0xff, 0xc0, 0x80]), Buffer.from(text)]),
    exitStatus: 1,
  },
}

/** Characters that every format and every vendor's parser accepts. */
const ordinary = /^[\t\n\r\x20-\x7e\xa0-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]*$/u

function stringsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, part]) => [name, ...stringsOf(part)])
}

function assertXml(source: string): void {
  const parser = new SaxesParser()
  parser.on('error', (error) => assert.fail(`${error.message} in ${JSON.stringify(source)}`))
  parser.write(source).close()
}

suite('a format gets only characters that it has', () => {
  for (const name of Object.keys(kinds) as (keyof typeof kinds)[]) {
    if (name === 'shell') continue
    test(`${name} sends only characters that its format can hold`, async (t) => {
      for (const own of name === 'webhook' ? [{}] : [{}, { title: '$NAME', body: '$NAME $TAGS $BODY' }]) {
        const { asked, outcome } = await tell(t, name, lacking, { own })
        assert.equal(outcome, 'sent', String(outcome))
        const [{ body, headers, url }] = asked as [(typeof asked)[number]]
        const isForm = headers['content-type'] === 'application/x-www-form-urlencoded'
        const strings = isForm ? Object.values(form(asked)) : stringsOf(JSON.parse(body))
        // Flatline's own document holds the text of the check unchanged, except for lone surrogates.
        for (const one of [...strings, url])
          if (name === 'webhook') assert.ok(one.isWellFormed(), one)
          else assert.match(one, ordinary, `${name}: ${JSON.stringify(one)}`)
        if (name === 'call') assertXml(form(asked).Twiml ?? '')
      }
    })
  }

  test('badges contain only characters that SVG and JSON can hold', async () => {
    for (const label of [text, ...nasty, ''])
      for (const format of formats) {
        const { body } = await render(label, nothing, { withLate: false, format })
        if (format === 'svg') assertXml(body)
        else for (const one of stringsOf(JSON.parse(body))) assert.match(one, ordinary)
      }
  })

  test('pages contain only characters that HTML can hold', () => {
    const html = page(`<h1>${escaped(text)}</h1>`)
    assert.match(html, ordinary)
    const tags: string[] = []
    new Parser({ onopentag: (name) => tags.push(name) }).end(html)
    assert.deepEqual(tags, ['html', 'head', 'meta', 'meta', 'title', 'meta', 'style', 'body', 'h1'])
  })

  test('the metrics of a project contain only characters of a sample line', async () => {
    const check = { id: 'x', name: text, tagText: text, tags: [text], status: 'up', started: false, deadline: null }
    const state = { lastPing: null, lastDurationMs: null, n: 1, flipSeq: 0 }
    async function* pages() {
      yield [{ ...check, state }] as never
    }
    const lines = (
      await expose(
        pages(),
        () => 0,
        () => 'key',
      )
    )
      .join('')
      .split('\n')
    const sample = /^(# (HELP|TYPE) .*|[a-z_]+(\{([a-z_]+="([^"\\\n]|\\[\\"n])*"(, )?)+\})? \S+|)$/s
    for (const line of lines) assert.match(line, sample)
    assert.ok(lines.filter((line) => /^[a-z]/.test(line)).length >= 5)
    assert.ok(lines.join('\n').isWellFormed())
  })

  test('the placeholders of a webhook contain only characters that their place can hold', () => {
    const { url, header, body } = placeholdersOf(lacking, 'down')
    for (const name of ['NAME', 'SLUG', 'TAGS', 'BODY', 'JSON', 'NAME_JSON', 'BODY_JSON']) {
      assert.match(url(`https://a.example/$${name}`), /^[\x21-\x7e]*$/)
      assert.match(header(`$${name}`), /^[\x20-\x7e\x80-\xff$]*$/)
      if (name.endsWith('JSON')) assert.doesNotThrow(() => JSON.parse(body(`$${name}`)))
    }
  })

  test('printable text stays unchanged, and invisible text counts as blank', () => {
    for (const same of ['', 'a\tb\nc', 'é ✓ 😀 \u00a0', '<&>"']) assert.equal(printable(same), same)
    for (const blank of ['', ' \t\n', '\u200b\u00a0\u3000', '\u2800\u3164\uffa0', '\u0301', '\ufeff', '\ud800'])
      assert.ok(isBlank(blank))
    for (const seen of ['a', '\u200b.', '😀', '–', '\ue000']) assert.ok(!isBlank(seen))
  })
})
