// logs/logrotate.conf as it is shipped, but for the place and the user, on a file that a running process writes to.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { eventually, scratchDir } from '../helper.ts'
import { start } from '../scenarios/command.ts'
import { needsTool } from '../tools.ts'

const skip = needsTool('logrotate')
const root = new URL('../..', import.meta.url).pathname
const shipped = await readFile(new URL('../../logs/logrotate.conf', import.meta.url), 'utf8')

/** Writes a line of 1 kB for each number on its standard input, and keeps its standard output open. */
const writer = `let n = 0
require('node:readline').createInterface({ input: process.stdin }).on('line', (count) => {
  let text = ''
  for (const end = n + Number(count); n < end; n++) text += String(n).padEnd(1023, '.') + '\\n'
  require('node:fs').writeSync(1, text)
})`

async function configured(
  t: TestContext,
  env = {},
): Promise<{ dir: string; log: string; rotate: (...options: string[]) => string }> {
  const dir = await scratchDir(t)
  const group = spawnSync('id', ['-gn']).stdout.toString().trim()
  const text = shipped
    .replaceAll('/var/log/flatline', dir)
    .replaceAll('/etc/flatline', dir)
    .replace('/opt/flatline/', root)
    .replace('su flatline flatline', `su ${userInfo().username} ${group}`)
  assert.ok(!/^[^#]*\/var\/log/m.test(text) && !text.includes('su flatline'))
  const file = join(dir, 'logrotate.conf')
  await writeFile(file, text, { mode: 0o644 })
  const rotate = (...options: string[]) => {
    const { stderr } = spawnSync('logrotate', [...options, '--state', join(dir, 'state'), file], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    })
    return stderr
  }
  return { dir, log: join(dir, 'flatline.log'), rotate }
}

test('logrotate accepts every line of the configuration', { skip }, async (t) => {
  const { rotate } = await configured(t)
  // It reports what it does not know, and exits 0.
  assert.doesNotMatch(rotate('--debug'), /error|unknown|ignoring/i)
  const rules = /\{([^}]+)lastaction/.exec(shipped)?.[1]?.replaceAll(/#.*/g, '') ?? ''
  const expected = 'su flatline flatline,size 10M,rotate 10,compress,delaycompress,missingok,notifempty,copytruncate'
  assert.deepEqual(
    rules
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean),
    expected.split(','),
  )
})

test('a running writer keeps its file, which is truncated at 10 MB; ten compressed older ones are kept', {
  skip,
}, async (t) => {
  const { dir, log, rotate } = await configured(t)
  const { child } = start(t, ['/bin/sh', '-c', `exec "$0" -e "$1" >> "$2"`, process.execPath, writer, log])
  const write = async (kilobytes: number) => {
    const before = await sizeOf(log)
    child.stdin?.write(`${kilobytes}\n`)
    await eventually('the lines', async () => (await sizeOf(log)) === before + kilobytes * 1024)
  }
  await write(10_000)
  assert.equal(rotate(), '')
  assert.equal(await sizeOf(log), 10_000 * 1024, 'less than 10 MB stays')
  await write(300)
  for (let round = 1; round <= 12; round++) {
    assert.equal(rotate(), '')
    assert.equal(await sizeOf(log), 0, `round ${round}`)
    await write(10_300)
  }
  const rotated = (await readdir(dir)).filter((name) => /^flatline\.log\.\d/.test(name))
  const names = Array.from({ length: 10 }, (_, index) => `flatline.log.${index + 1}${index === 0 ? '' : '.gz'}`)
  assert.deepEqual(rotated.sort(), names.sort())
  // 13 files of 10,300 lines each were written; the newest and the ten before it are there, each line whole and in its place.
  const oldestFirst = [
    ...Array.from({ length: 9 }, (_, index) => `flatline.log.${10 - index}.gz`),
    'flatline.log.1',
    'flatline.log',
  ]
  let expected = 2 * 10_300
  for (const name of oldestFirst) {
    const content = await readFile(join(dir, name))
    const lines = (name.endsWith('.gz') ? gunzipSync(content) : content).toString().trimEnd().split('\n')
    for (const line of lines) assert.equal(line, String(expected++).padEnd(1023, '.'))
  }
  assert.equal(expected, 13 * 10_300)
})

test('each rotated file is archived once, compressed, under a name of its own', { skip }, async (t) => {
  const bucket = await scratchDir(t)
  const programs = await scratchDir(t)
  const aws = `#!/bin/sh\n[ "$*" != "\${*%s3://example-logs/*}" ] && cat > "${bucket}/\${5##*/}"\n`
  await writeFile(join(programs, 'aws'), aws, { mode: 0o755 })
  const { dir, log, rotate } = await configured(t, { PATH: `${programs}:${process.env.PATH}` })
  await writeFile(join(dir, 'log-archive'), 's3://example-logs/flatline\n')
  const content = (letter: string) => `${letter.repeat(1023)}\n`.repeat(10_300)
  for (const letter of ['a', 'b', 'c']) {
    await writeFile(log, content(letter))
    assert.equal(rotate(), '')
  }
  assert.equal(rotate(), '')
  const archived = await archivedIn(bucket)
  assert.deepEqual(
    archived.map(({ text }) => text[0]),
    ['a', 'b', 'c'],
  )
  for (const { name, text } of archived) {
    assert.match(name, /^flatline-\d{8}T\d{6}Z-[0-9a-f]{16}\.log\.gz$/)
    assert.equal(text, content(text[0] ?? ''))
  }
})

test('files that the service has rotated are archived to a directory, a failed one at the next call', async (t) => {
  const [dir, target] = [await scratchDir(t), join(await scratchDir(t), 'archive')]
  const archive = (to: string) => spawnSync(join(root, 'scripts/archive-logs.sh'), [dir, to], { encoding: 'utf8' })
  await writeFile(join(dir, 'flatline.log'), 'now\n')
  await writeFile(join(dir, 'flatline.log.1'), 'newer\n')
  await writeFile(join(dir, 'flatline.error.log.1'), 'errors\n')
  assert.notEqual(archive('/dev/null/archive').status, 0)
  for (let n = 0; n < 2; n++) assert.deepEqual([archive(target).status, archive(target).stderr], [0, ''])
  await writeFile(join(dir, 'flatline.log.2'), 'newer\n')
  await writeFile(join(dir, 'flatline.log.1'), 'newest\n')
  assert.equal(archive(target).status, 0)
  assert.deepEqual((await archivedIn(target)).map(({ text }) => text).sort(), ['errors\n', 'newer\n', 'newest\n'])
})

async function archivedIn(directory: string): Promise<{ name: string; text: string }[]> {
  const names = await readdir(directory)
  const all = await Promise.all(
    names.map(async (name) => ({ name, text: gunzipSync(await readFile(join(directory, name))).toString() })),
  )
  return all.sort((a, b) => (a.text < b.text ? -1 : 1))
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.size ?? 0
}
