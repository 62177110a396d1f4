import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  BackupFileError,
  type BackupHeader,
  type BackupTable,
  readBackup,
  writeBackup,
} from '../../../src/database/backup/format.ts'

const table = (name: string): BackupTable => ({ name, columns: ['id', 'text'], counted: ['id'], partitions: [] })
const header: BackupHeader = {
  format: 1,
  at: '2026-11-24T00:00:00.000+00:00',
  version: '0.1.0',
  migration: '1',
  tables: [table('first'), table('second')],
}

/** Rows as COPY writes them: a backslash of the data is doubled, so that no row is the mark of the end. */
const row = fc.string({ maxLength: 30 }).map((text) => text.replaceAll('\\', '\\\\').replaceAll(/[\n\r]/g, '\\n'))
const rows = fc.array(row, { maxLength: 20 })

async function textOf(contents: Record<string, string[]>): Promise<Buffer> {
  async function* rowsOf({ name }: BackupTable) {
    for (const line of contents[name] ?? []) yield Buffer.from(`${line}\n`)
  }
  const chunks: Buffer[] = []
  for await (const chunk of writeBackup(header, rowsOf, () => {})) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function* inPieces(text: Buffer, size: number) {
  for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size)
}

async function read(source: AsyncIterable<Buffer>): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  await readBackup(source, {
    async begin(read) {
      assert.deepEqual(read, header)
    },
    async rows({ name }, chunks) {
      found[name] = ''
      for await (const chunk of chunks) found[name] += chunk.toString()
    },
  })
  return found
}

test('rows are read as they were written, wherever chunks of the file end', async () => {
  await fc.assert(
    fc.asyncProperty(rows, rows, fc.integer({ min: 1, max: 200 }), async (first, second, size) => {
      const text = await textOf({ first, second })
      const expected = {
        first: first.map((line) => `${line}\n`).join(''),
        second: second.map((line) => `${line}\n`).join(''),
      }
      assert.deepEqual(await read(inPieces(text, size)), expected)
    }),
    { numRuns: 300 },
  )
})

test('a file with any changed byte is refused', async () => {
  const text = await textOf({ first: ['1\tone', '2\ttwo'], second: ['3\tthree'] })
  for (let at = 0; at < text.length; at++) {
    const changed = Buffer.from(text)
    changed[at] = text[at]! ^ 1
    await assert.rejects(readQuietly(changed), BackupFileError, `byte ${at}`)
  }
})

test('a file that was truncated, or continues after its end, is refused', async () => {
  const text = await textOf({ first: ['1\tone'], second: [] })
  for (let length = 0; length < text.length; length++)
    await assert.rejects(readQuietly(text.subarray(0, length)), BackupFileError, `${length} bytes`)
  await assert.rejects(readQuietly(Buffer.concat([text, Buffer.from('\n')])), /is damaged/)
})

test('a partition bound with further SQL in it is refused, because it would be executed', async () => {
  const bound = "FOR VALUES FROM ('2026-11-24 00:00:00+00') TO ('2026-11-25 00:00:00+00')"
  for (const [written, accepted] of [
    [bound, true],
    [`${bound}; DROP TABLE projects`, false],
    ["FOR VALUES FROM ('1') TO (pg_sleep(9))", false],
  ] as const) {
    const evil = { ...header, tables: [{ ...table('first'), partitions: [{ name: 'p', bound: written }] }] }
    const chunks: Buffer[] = []
    for await (const chunk of writeBackup(
      evil,
      async function* () {},
      () => {},
    ))
      chunks.push(chunk)
    const reading = readQuietly(Buffer.concat(chunks))
    await (accepted ? reading : assert.rejects(reading, /has a header that this version does not know/))
  }
})

async function readQuietly(text: Buffer): Promise<void> {
  await readBackup(inPieces(text, 64), {
    async begin() {},
    async rows(_table, chunks) {
      for await (const _ of chunks);
    },
  })
}
