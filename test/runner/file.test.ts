import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDir } from '../helper.ts'
import { patience } from '../patience.ts'
import { runFile } from './file.ts'
import { findLeftovers } from './leftovers.ts'
import { limitsOf } from './limits.ts'

const root = new URL('../..', import.meta.url).pathname
const onlyLinux = process.platform === 'linux' ? false : 'only Linux says which processes belong to a file'
const detached =
  "spawn('sleep', ['1000'], { detached: true, stdio: 'ignore', env: {}, cwd: process.env.TMPDIR }).unref()"
const listening = 'createServer().listen(0)'

/** What a file does, what is said of it, and which of its limits are short. */
const files: [name: string, body: string, problem: RegExp | undefined, short: ('fileMs' | 'testMs' | 'exitMs')[]][] = [
  ['passes', "test('passes', () => {})", undefined, []],
  [
    'has a test that hangs with a listener and a process',
    `test('hangs', () => { ${listening}; ${detached}; return new Promise(() => {}) })`,
    /did not end within .* of its last test/,
    ['testMs', 'exitMs'],
  ],
  [
    'passes and stays open',
    `test('passes', () => { ${listening}; ${detached} })`,
    /did not end within .* of its last test/,
    ['exitMs'],
  ],
  ['blocks', "test('blocks', () => { for (;;); })", /was killed after/, ['fileMs']],
  ['blocks while it is loaded', 'for (;;);', /was killed after/, ['fileMs']],
  ['leaves a process', `test('passes', () => { ${detached} })`, /left running:\n\d+ sleep 1000/, ['exitMs']],
  ['ends its process', "test('ends', () => process.exit(0))", /ended with 0 before its tests had/, []],
  ['is killed', "test('dies', () => process.kill(process.pid, 'SIGKILL'))", /was ended by SIGKILL/, []],
  ['does not load', "import './nowhere.ts'", /ended with 1 before its tests had[\s\S]*Cannot find module/, []],
]

for (const [name, body, problem, short] of files) {
  test(`a file that ${name} ends and leaves nothing running`, { skip: onlyLinux }, async (t) => {
    const dir = join(await scratchDir(t), 'own')
    await mkdir(dir)
    const file = join(dir, 'one.test.ts')
    const imports =
      "import { spawn } from 'node:child_process'\nimport { createServer } from 'node:net'\nimport { test } from 'node:test'\n"
    await writeFile(file, imports + body)
    const limits = {
      ...limitsOf(file, patience(1)),
      ...Object.fromEntries(short.map((limit) => [limit, patience(500)])),
    }
    const ended = await runFile({ file, root, dir, env: process.env, args: [], limits }, new AbortController().signal)
    if (problem === undefined) assert.equal(ended.problem, undefined)
    else assert.match(ended.problem ?? '', problem)
    assert.deepEqual(findLeftovers({ group: -1, dir }), [])
  })
}

test('a failure in a file is reported with its name and its difference', async (t) => {
  const dir = await scratchDir(t)
  const file = join(dir, 'one.test.ts')
  await writeFile(
    file,
    "import { test } from 'node:test'\nimport assert from 'node:assert'\ntest('fails', () => assert.equal('one', 'two'))\n",
  )
  const start = { file, root, dir, env: process.env, args: [], limits: limitsOf(file, patience(1)) }
  const { events, problem } = await runFile(start, new AbortController().signal)
  const [failure] = events.filter(({ type }) => type === 'test:fail')
  assert.equal(problem, undefined)
  assert.equal(failure?.data.name, 'fails')
  assert.match(JSON.stringify(failure?.data.details), /'one' == 'two'/)
})
