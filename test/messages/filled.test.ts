import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { settingsProblem } from '../../src/channels/settings.ts'
import { transports } from '../../src/channels/transports.ts'
import type { Transport } from '../../src/channels/wire/transport.ts'
import { isBlank } from '../../src/kit/characters.ts'
import { alertOf } from '../../src/messages/alert.ts'
import type { CheckMessage } from '../../src/messages/message.ts'
import { placeholdersOf } from '../../src/messages/placeholders.ts'
import { changed, down, now } from '../channels/transports/contract.ts'
import { formats } from '../channels/transports/rendered.ts'
import { kinds, tell } from '../channels/transports/subjects.ts'
import { cpuMs, heldMaxMs } from '../cpu.ts'

type Name = keyof typeof kinds

const output = Buffer.from(`${'"<&>*_`[😀\n'.repeat(7000)}${'-'.repeat(10_000)}`)
const large: CheckMessage = {
  ...down,
  check: changed(down.check, { name: '"\\é✓@`*'.repeat(14), tags: 'é✓"\\ '.repeat(100), desc: '"\\é✓\n'.repeat(2000) }),
  lastPing: { body: output, exitStatus: 1 },
}
const empty: CheckMessage = {
  ...down,
  check: changed(down.check, { name: '\u200b\u2800\u00a0', slug: '', tags: ' ', desc: ' \u3164' }),
  lastPing: { body: Buffer.from(' \u200b\n\u001b[0m'), exitStatus: 0 },
}

const own = (name: Name) => 'body' in (transports[name].settings as unknown as { properties: object }).properties
const named = (Object.keys(kinds) as Name[]).filter((name) => name !== 'webhook' && own(name))

suite('words that are filled in', () => {
  for (const name of named) {
    test(`${name} sends the default text if its owner's template is blank`, async (t) => {
      for (const words of [
        { title: '$TAGS', body: '$BODY' },
        { title: '$NAME', body: '$NAME\n$TAGS' },
        { title: '\u2028 ', body: '\u200b' },
      ]) {
        const { asked, outcome } = await tell(t, name, empty, { own: words })
        assert.equal(outcome, 'sent', String(outcome))
        const parts = kinds[name].parts(asked)
        assert.ok(parts.length > 0)
        for (const [format, text] of parts)
          assert.ok(!isBlank(formats[format](text).text), `${name}: ${format} is empty`)
        assert.match(parts.map(([, text]) => text).join('\n'), /Check 1b6a8d0e is down/)
      }
    })

    test(`${name} fills a template that repeats the largest output quickly`, async (t) => {
      const words = { title: '$JSON'.repeat(60), body: '$BODY'.repeat(800) }
      assert.equal(
        settingsProblem(transports[name] as Transport, { ...kinds[name].settings('http://a.example'), ...words }),
        undefined,
      )
      const took = await cpuMs(async () => {
        const { asked, outcome } = await tell(t, name, large, { own: words })
        assert.equal(outcome, 'sent', String(outcome))
        assert.ok((asked.at(-1)?.body.length ?? 0) < 500_000)
      }, 5)
      assert.ok(took < heldMaxMs, `${name} took ${took} ms`)
    })
  }

  test('a filled-in address is valid and short enough for servers', () => {
    for (const message of [large, empty, down]) {
      const { url } = placeholdersOf(message, 'down')
      for (const template of [
        'https://a.example/?x=$NAME&y=$JSON&z=$TAGS',
        `https://a.example/${'$JSON'.repeat(180)}`,
      ]) {
        const filled = url(template)
        assert.ok(filled.length <= 8100, `${filled.length}`)
        assert.ok(URL.canParse(filled))
        assert.equal(decodeURIComponent(filled).isWellFormed(), true)
      }
    }
  })

  test('filled-in headers contain only valid characters, and are short enough for servers', () => {
    for (const message of [large, empty]) {
      const { header } = placeholdersOf(message, 'down')
      const all = Array.from({ length: 30 }, () => header('$NAME $JSON $TAGS', 30))
      assert.ok(all.join('').length <= 9000, `${all.join('').length}`)
      for (const value of all) assert.match(value, /^[\t\x20-\x7e\x80-\xff]*$/)
    }
  })

  test('a filled-in document is valid JSON of limited size, however many placeholders it has', () => {
    const { body } = placeholdersOf(large, 'down')
    const once = JSON.parse(body('{"body":$BODY_JSON,"name":$NAME_JSON,"check":$JSON}')) as Record<string, unknown>
    assert.deepEqual(once, { body: output.toString(), name: large.check.name, check: large.check.document('down') })
    const often = body(`[${Array.from({ length: 60 }, () => '$BODY_JSON,$JSON').join(',')}]`)
    assert.ok(often.length < 1_001_000, `${often.length}`)
    assert.equal((JSON.parse(often) as unknown[]).length, 120)
  })

  test('a webhook with two hundred placeholders is filled in quickly', async () => {
    for (const template of ['$BODY'.repeat(200), '$BODY_JSON'.repeat(100), '$JSON'.repeat(200), '$NAME'.repeat(200)]) {
      const { body, url, header } = placeholdersOf(large, 'down')
      const took = await cpuMs(() => [body(template), url(template), header(template)])
      assert.ok(took < heldMaxMs, `${template.slice(0, 10)} took ${took} ms`)
    }
  })

  test('an alert of a check with the longest notes and output is made quickly', async () => {
    const check = changed(large.check, { desc: '\n\u001b[31m"<&>'.repeat(100_000) })
    assert.ok((await cpuMs(() => alertOf({ ...large, check }, now))) < heldMaxMs)
  })

  test('a token that no header can contain is refused with its field', () => {
    for (const name of [
      'alertmanager',
      'github',
      'gotify',
      'jsm',
      'matrix',
      'ntfy',
      'opsgenie',
      'pushbullet',
    ] as const) {
      const field = name === 'jsm' || name === 'opsgenie' ? 'api_key' : 'token'
      for (const bad of ['a\nb', 'schlüssel ✓', ' ']) {
        const settings = { ...kinds[name].settings('http://a.example'), [field]: bad }
        assert.equal(settingsProblem(transports[name] as Transport, settings)?.field, field)
      }
    }
  })
})
