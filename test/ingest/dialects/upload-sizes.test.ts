import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseEntry, splitEntries } from '../../../src/ingest/dialects/uploads/entries.ts'
import { cpuMs, heldMaxMs, longestTurnMs } from '../../cpu.ts'
import { build, keys } from '../../helper.ts'

const path = '/api/v3/heartbeats/'
const size = 16 * 2 ** 20
const entriesMax = 10_000
const filled = (piece: string, length = size) => piece.repeat(Math.floor(length / piece.length))
const many = (entry: string) => `[${Array.from({ length: entriesMax }, () => entry).join(',')}]`

/** Uploads of the maximum size, and their outcome. */
const uploads: Record<string, [text: string, entries: number | null]> = {
  'line feeds': [filled('\n'), 0],
  blanks: [filled(' '), 0],
  'blanks and a bracket': [`${filled(' ', size - 1)}[`, null],
  'empty objects': [`[${filled('{},', size - 4)}{}]`, entriesMax + 1],
  'empty objects in lines': [filled('{}\n'), entriesMax + 1],
  'commas only': [`[${filled(',', size - 1)}`, entriesMax + 1],
  'brackets that open': [filled('['), null],
  'arrays in arrays': [`${filled('[', size / 2)}${filled(']', size / 2)}`, null],
  'one array of numbers': [`[[${filled('0,', size - 5)}0]]`, null],
  'one number': [`[${filled('1', size - 2)}]`, null],
  'one line of brackets': [`{"a":${filled('[', size - 5)}`, 1],
  quotes: [`[${filled('"', size - 1)}`, null],
  'one long body': [`[{"check":"a","body":"${filled('x', size - 30)}"}]`, 1],
  'one body of escapes': [`[{"check":"a","body":"${filled('\\u0041', size - 30)}"}]`, 1],
  'ten thousand bodies': [many(`{"check":"job","body":"${'x'.repeat(1600)}"}`), entriesMax],
}

suite('an upload of 16 MB holds nobody up', () => {
  for (const [name, [text, entries]] of Object.entries(uploads))
    test(`an upload of 16 MB blocks nobody: ${name}`, async () => {
      // Flat, as it is read from a request.
      const body = Buffer.from(text).toString()
      assert.ok(body.length <= size && body.length > 0.9 * size, `${body.length}`)
      assert.equal(splitEntries(body, entriesMax)?.length ?? null, entries)
      const took = await cpuMs(() => splitEntries(body, entriesMax))
      assert.ok(took < heldMaxMs, `${took} ms`)
      const [first] = splitEntries(body, entriesMax) ?? []
      if (first === undefined) return
      const parsing = await cpuMs(() => parseEntry(first, 0))
      assert.ok(parsing < heldMaxMs, `${parsing} ms for an entry`)
    })

  test('an upload of 16 MB over HTTP blocks nobody, whatever its answer', async (t) => {
    const { call, url } = await build(t)
    await call('POST', '/api/v3/checks/', { name: 'job', slug: 'job' })
    const answers: Record<string, number> = {
      'line feeds': 400,
      'empty objects': 413,
      'arrays in arrays': 400,
      'one line of brackets': 200,
      'ten thousand bodies': 200,
    }
    for (const [name, status] of Object.entries(answers)) {
      const body = Buffer.from(uploads[name]?.[0] ?? '')
      let answered = 0
      const held = await longestTurnMs(async () => {
        const answer = await fetch(`${url}${path}`, { method: 'POST', headers: { 'x-api-key': keys.api_key }, body })
        answered = answer.status
        await answer.arrayBuffer()
      }, 2)
      assert.equal(answered, status, name)
      assert.ok(held < 2 * heldMaxMs, `${name} held the loop for ${held} ms`)
    }
  })
})

test('an entry of many parts is refused, but not a heartbeat with a long body', () => {
  const now = Date.UTC(2026, 10, 24)
  assert.deepEqual(parseEntry(`{"check":"a","x":[${'1,'.repeat(1000)}1]}`, now), {
    error: 'has more than 1000 characters outside of its texts',
  })
  const body = '"[{,'.repeat(1000)
  assert.equal((parseEntry(JSON.stringify({ check: 'a', body }, null, 8), now) as { body: string }).body, body)
  assert.deepEqual(splitEntries(`[${JSON.stringify({ check: 'a', body }, null, 8)}]`)?.length, 1)
  assert.deepEqual(splitEntries('\n {"a":1}\r\n\n\t\n{"b":2}  \n'), ['{"a":1}\r', '{"b":2}  '])
})
