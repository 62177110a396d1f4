// Every input of a command has a limit, and the error names the limit that was exceeded.

import assert from 'node:assert/strict'
import { open, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { scratchDir } from '../helper.ts'
import { patience } from '../patience.ts'
import { flatline } from './run.ts'

const mb = 2 ** 20
const list = (count: number, entry: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => entry(n)).join('\n')
/** The command refuses its input before it sends anything, so no server is needed. */
const nobody = ['--server', 'http://127.0.0.1:1', '--key', 'k'.repeat(32)]
/** Of the old generation, in MB: what a command may hold. */
const env = { NODE_OPTIONS: '--max-old-space-size=512' }

const files: [what: string, text: string, refusal: RegExp][] = [
  ['a line of 200 MB', 'x'.repeat(200 * mb), /is longer than 8 MB/],
  [
    '20,000 anchors and aliases',
    `checks:\n${list(20_000, (n) => `- &a${n} {name: *a${Math.max(0, n - 1)}}`)}`,
    /more than \d+ (anchors|aliases)/,
  ],
  [
    '20,000 aliases of one anchor',
    `x-a: &a {grace: 60}\nchecks:\n${list(20_000, () => '- {<<: *a}')}`,
    /more than 10000 aliases/,
  ],
  [
    'aliases of aliases',
    `x-a0: &a0 [${'x,'.repeat(9)}x]\n${list(20, (n) => `x-a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(9)}*a${n}]`)}\nchecks: [*a20]`,
    /(Excessive alias count|with its aliases filled in)/,
  ],
  [
    'a long text, repeated by aliases',
    `x-a: &a ${'x'.repeat(mb)}\nchecks: [{desc: *a}${', {desc: *a}'.repeat(5000)}]`,
    /longer than 8 MB with its aliases filled in/,
  ],
  ['100,000 brackets', `checks: ${'['.repeat(100_000)}`, /more than \d+ levels/],
  ['100,000 braces', `checks: ${'{a: '.repeat(100_000)}`, /more than \d+ levels/],
  ['3,000 levels of blocks', `checks:\n${list(2000, (n) => `${' '.repeat(n + 1)}a:`)}`, /more than \d+ levels/],
  ['1,000 dashes in a line', `checks:\n${'- '.repeat(1000)}x`, /more than \d+ levels/],
  [
    'a mapping of 300,000 keys',
    `checks:\n- {}\nx-a:\n${list(300_000, (n) => `  k${n}: 1`)}`,
    /a mapping of more than 1000 keys/,
  ],
  [
    'a number that is too large',
    'checks:\n- {name: a, timeout: 1e999}',
    /checks\[0\]\.timeout is a number that cannot be sent: Infinity/,
  ],
  ['infinity', 'checks:\n- {name: a, grace: -.inf}', /checks\[0\]\.grace is a number that cannot be sent: -Infinity/],
  [
    'no number',
    'checks:\n- {name: a, channels: [.nan]}',
    /checks\[0\]\.channels\[0\] is a number that cannot be sent: NaN/,
  ],
  ['bytes that are no text', 'checks:\n- {name: "\xff"}', /is not UTF-8/],
  ['no YAML', 'checks: ]', /is not YAML/],
  ['nothing', '', /has no list of checks/],
]

for (const [what, text, refusal] of files) {
  test(`flatline apply refuses ${what}, in a file and on standard input`, { timeout: patience(60_000) }, async (t) => {
    const bytes = Buffer.from(text, 'latin1')
    const file = join(await scratchDir(t), 'checks.yaml')
    await writeFile(file, bytes)
    for (const [args, input] of [
      [['apply', file, ...nobody], ''],
      [['apply', '-', ...nobody], bytes],
    ] as const) {
      const { code, stderr } = await flatline(args, input, env)
      assert.equal(code, 1)
      assert.match(stderr, refusal)
      assert.ok(stderr.length < 2000, 'and says so briefly')
    }
  })
}

test('a YAML list of 5,000 checks with one common anchor is accepted', async () => {
  const text = `x-usual: &usual {grace: 60, timeout: 300}\nchecks:\n${list(5000, (n) => `- {name: job ${n}, <<: *usual}`)}`
  const { stderr } = await flatline(['apply', '-', ...nobody], text)
  assert.match(stderr, /cannot reach http:\/\/127\.0\.0\.1:1/)
})

/** A sparse file. */
async function large(t: TestContext, bytes: number): Promise<string> {
  const file = join(await scratchDir(t), 'large')
  await (await open(file, 'w')).close()
  await truncate(file, bytes)
  return file
}

test('every file that a command reads has a size limit, even one without an end', async (t) => {
  const file = await large(t, 4 * 2 ** 30)
  const healthchecks = ['import', 'healthchecks', '--url', 'http://127.0.0.1:1']
  for (const [args, refusal] of [
    [['apply', file, ...nobody], /longer than 8 MB/],
    [['import', file, ...nobody], /longer than 8 MB/],
    [['export', '--server', 'http://127.0.0.1:1', '--key-file', file], /longer than 64 kB/],
    [['export', '--server', 'http://127.0.0.1:1', '--key-file', '/dev/zero'], /longer than 64 kB/],
    [[...healthchecks, '--api-key-file', file, ...nobody], /longer than 64 kB/],
    [['apply', '/dev/zero', ...nobody], /longer than 8 MB/],
    [['apply', '/nowhere', ...nobody], /cannot read \/nowhere: ENOENT/],
    [['apply', '/', ...nobody], /cannot read \/: EISDIR/],
  ] as const) {
    const { code, stderr } = await flatline(args, '', env)
    assert.equal(code, 1, args.join(' '))
    assert.match(stderr, refusal)
  }
})

test('flatline restore --verify refuses a line without an end before it has read it all', async (t) => {
  const zip = promisify(gzip)
  const title =
    '-- Flatline backup: psql restores it, gunzipped, into an empty database that has the migration named below.\n'
  const file = join(await scratchDir(t), 'backup.gz')
  for (const start of ['', `${title}`, `${title}-- header: `]) {
    await writeFile(file, await zip(Buffer.concat([Buffer.from(start), Buffer.alloc(200 * mb, 'x')]), { level: 1 }))
    const { code, stderr } = await flatline(['restore', '--verify', file], '', env)
    assert.equal(code, 1)
    assert.match(stderr, /a line has no end/)
  }
})

test('a command does not read an endless answer for ever', async (t) => {
  const server = createServer((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(mb)));
    }
    response.on('drain', more)
    more()
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { code, stderr } = await flatline(['export', '--server', url, '--key', 'k'.repeat(32)], '', env)
  assert.equal(code, 1)
  assert.match(stderr, /the answer of .* is longer than 256 MB/)
})
