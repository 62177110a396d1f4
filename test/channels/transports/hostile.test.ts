import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { transports } from '../../../src/channels/transports.ts'
import { DeliveryError } from '../../../src/channels/wire/transport.ts'
import type { CheckMessage } from '../../../src/messages/message.ts'
import { changed, down, hostile, json, type Reply } from './contract.ts'
import { formats, linesOf, type Seen, visible } from './rendered.ts'
import { kinds, type Part, tell } from './subjects.ts'

type Name = keyof typeof kinds

const names = [
  'disk < 80% on db1',
  String(hostile.check.name),
  '<!channel> <!here> <!subteam^S1> <@U1> <#C1>',
  '.@all _@all -@here (@channel) @room é@all @everyone',
  '](http://evil.example) [a](http://evil.example',
  '|https://evil.example> <https://evil.example|click>',
  '</b></code></pre><a href="http://evil.example">x</a>',
  '<users/all> &lt;b&gt; &#64;all &amp;',
  '# heading',
  '- item',
  '1. first',
  '2) second',
  '> quoted',
  '+ plus',
  '=====',
  '-----',
  '| a | b |',
  '`````',
  '`code` ```` and ``',
  '~~gone~~ __under__ _it_ a_b_c **bold** *',
  'back\\slash\\',
  '![image](http://evil.example/x.png)',
  '[label]: http://evil.example',
  '*/5 * * * *',
  '"quoted" \'too\'',
]

const links = {
  check: 'https://flatline.example/checks/a(b)c_d_e?x=1&y=2',
  acknowledge: 'https://flatline.example/acknowledge/abc',
}

const outputs = [
  '``` <!here> </pre><script> @channel ```',
  '`````\n@all\n`````',
  '</code></b>&amp;\n  # indented\n> quoted',
]

function outage(name: string, index = 0): CheckMessage {
  const desc = `first line\n- second ${name}\n    indented\n\n1. after a gap\n===\n    code?`
  return {
    ...down,
    check: changed(down.check, { name, tags: '@all <users/all> `x`', desc }),
    links,
    lastPing: { body: Buffer.from(outputs[index % outputs.length] as string), exitStatus: 1 },
  }
}

/** All names, in messages with as many checks as one message names. */
function groups(): CheckMessage[] {
  return [0, 9, 18].map((start) => {
    const [first, ...rest] = names.slice(start, start + 9).map((name) => outage(name))
    return { ...(first as CheckMessage), others: rest.map(({ check, flip }) => ({ check, flip })) }
  })
}

const allowed = [
  'strong_open',
  'link_open',
  'fence',
  'strong',
  'b',
  'a',
  'pre',
  'code',
  'html',
  'body',
  'h2',
  'Response',
]
const ours = Object.values(links).map((url) => new URL(url).href)

suite('what somebody wrote is text', () => {
  test('hostile texts are tested for every kind of channel', () =>
    assert.deepEqual(
      Object.keys(kinds).sort(),
      Object.keys(transports)
        .filter((kind) => kind !== 'group')
        .sort(),
    ))

  for (const name of Object.keys(kinds) as Name[]) {
    if (name === 'shell') continue
    test(`${name} shows the texts of one check without interpreting markup in them`, async (t) => {
      for (const [index, written] of names.entries()) {
        const all = await shown(t, name, outage(written, index))
        assertSeen(all, `${written} is down`)
        if (kinds[name].shows !== 'title') assertFacts(all, written)
      }
    })

    test(`${name} shows the texts of many checks without interpreting markup in them`, async (t) => {
      for (const message of groups()) {
        const all = await shown(t, name, message)
        assertSeen(all, `${(message.others ?? []).length + 1} checks changed`)
        const told = [message, ...(message.others ?? [])].map(({ check }) => String(check.name))
        if (kinds[name].shows === undefined)
          for (const one of told)
            assert.ok(
              all.lines.some((line) => comparable(line).includes(comparable(one))),
              `${name} shows ${one} in ${all.lines.join('\n')}`,
            )
      }
    })

    test(`${name} shows a check that has neither a name nor an output`, async (t) => {
      const { lastPing: _none, ...bare } = { ...down, links }
      const all = await shown(t, name, {
        ...bare,
        check: changed(down.check, { name: '', slug: '', tags: '', desc: '' }),
      })
      assertSeen(all, 'Check 1b6a8d0e is down')
      for (const { source } of all.parts) assert.notEqual(source.trim(), '')
    })

    test(`${name} shows its owner's template as it was written`, async (t) => {
      if (!('title' in (transports[name].settings as { properties: object }).properties)) return
      for (const written of names) {
        const own = { title: '$NAME', body: '$NAME\n$TAGS\n\n$BODY' }
        const all = await shown(t, name, outage(written), own)
        assertSeen(all, written)
        if (kinds[name].shows === undefined) assertSeen(all, '@all <users/all> `x`')
      }
    })

    if (kinds[name].marked)
      test(`${name} sends plain text, once, if the vendor refuses the markup`, async (t) => {
        for (const status of [400, 422]) {
          const refusing = (count: number): Reply => (count === 1 ? { status, body: {} } : kinds[name].taken)
          const { asked, outcome } = await tell(t, name, outage(names[1] as string), {
            reply: (_asked, count) => refusing(count),
          })
          assert.deepEqual([asked.length, outcome], [2, 'sent'])
          const all = seen(name, kinds[name].parts(asked))
          if (name !== 'call') assertSeen(all, `${names[1]} is down`)
          for (const { marks, links: found } of all.parts)
            assert.deepEqual(
              [Object.keys(marks).filter((mark) => !['fence', 'Response', 'Say', 'Pause'].includes(mark)), found],
              [[], []],
            )
          if (name === 'github') assert.ok(json(asked).body.startsWith('```'))
        }
        const { asked, outcome } = await tell(t, name, down, { reply: () => ({ status: 400, body: {} }) })
        assert.ok(outcome instanceof DeliveryError && !outcome.retryable && asked.length === 2, String(outcome))
      })
  }
})

type All = { parts: (Seen & { source: string })[]; lines: string[] }

async function shown(t: TestContext, name: Name, message: CheckMessage, own: object = {}): Promise<All> {
  const { asked, outcome } = await tell(t, name, message, { own })
  assert.equal(outcome, 'sent', String(outcome))
  return seen(name, kinds[name].parts(asked))
}

/** What people see. Asserts that only Flatline's own text is marked and linked, and that nobody is mentioned. */
function seen(name: Name, parts: readonly Part[]): All {
  const all = parts.map(([format, source]) => ({ ...formats[format](source), source }))
  for (const { marks, links: found, source } of all) {
    const unknown = Object.keys(marks).filter((mark) => ![...allowed, 'Say', 'Pause'].includes(mark))
    assert.deepEqual(unknown, [], `${name}: ${source}`)
    assert.ok((marks.fence ?? 0) + (marks.pre ?? 0) <= 1, `${name} has one block of code: ${source}`)
    for (const { label, url } of found)
      assert.ok(
        ours.includes(decodeURI(url)) || ours.includes(url) || label === url,
        `${name} links ${label} to ${url}`,
      )
    if (kinds[name].calls) assert.doesNotMatch(source, /(?<![A-Za-z0-9])@(?!\u200b)/, `${name} calls nobody`)
  }
  return { parts: all, lines: all.flatMap(({ text }) => linesOf(text)) }
}

/** Slack has no way to write these two where they mean something. */
const comparable = (text: string) => visible(text).replaceAll('∗', '*').replaceAll('¦', '|').replace(/ +/g, ' ').trim()

function assertSeen({ lines }: All, line: string): void {
  const wanted = comparable(line)
  const found = lines.some((one) =>
    comparable(one.replace(/^(?:[🔴🟢🟠🔵] |Flatline alert\. )/u, '')).startsWith(wanted),
  )
  assert.ok(found, `${JSON.stringify(wanted)} is not a line of\n${lines.join('\n')}`)
}

/** Each fact, and each line of one, is a line. */
function assertFacts(all: All, name: string): void {
  const has = (line: string) => all.lines.some((one) => comparable(one) === comparable(line))
  const hasFact = (label: string, value: string) => has(`${label}: ${value}`) || (has(label) && has(value))
  for (const [label, value] of [
    ['Down since', '2026-11-22 21:10:00 UTC'],
    ['Last heartbeat', '2026-11-22 20:05:00 UTC'],
    ['Tags', '@all <users/all> `x`'],
    ['Notes', 'first line'],
  ] as const)
    assert.ok(hasFact(label, value), `${label}: ${value} is not a line of\n${all.lines.join('\n')}`)
  for (const line of [`- second ${name}`, 'indented', '1. after a gap', '===', 'code?'])
    assert.ok(has(line), `${JSON.stringify(line)} is not a line of\n${all.lines.join('\n')}`)
}
