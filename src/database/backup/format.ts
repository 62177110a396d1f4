// A backup is a script that psql can run, so that its data can be read without this program. It begins with a line of
// JSON that describes the content, contains the rows of each table as COPY writes them, and ends with the SHA-256 of
// everything before the last line. The reader only takes the rows: it never executes what a file says.

import { createHash } from 'node:crypto'
import pg from 'pg'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'

/** In the order in which the tables can be filled: referenced tables come first. */
const Table = Type.Object({
  name: Type.String(),
  columns: Type.Array(Type.String(), { minItems: 1 }),
  /** Those of `columns` that a sequence fills. */
  counted: Type.Array(Type.String()),
  partitions: Type.Array(
    Type.Object({
      name: Type.String(),
      /** As PostgreSQL prints bounds of instants, in UTC. */
      bound: Type.String({ pattern: "^FOR VALUES FROM \\('[0-9 :+-]+'\\) TO \\('[0-9 :+-]+'\\)$" }),
    }),
  ),
})

const Header = Type.Object({
  format: Type.Literal(1),
  /** Everything that was answered before this instant is in the backup. */
  at: Type.String(),
  /** The version of the program that wrote it. */
  version: Type.String(),
  /** The newest migration of the database. */
  migration: Type.String({ minLength: 1 }),
  tables: Type.Array(Table),
})

export type BackupTable = Static<typeof Table>
export type BackupHeader = Static<typeof Header>

/** Why a file cannot be used. */
export class BackupFileError extends Error {
  override name = 'BackupFileError'
}

const title =
  '-- Flatline backup: psql restores it, gunzipped, into an empty database that has the migration named below.'
const headerMark = '-- header: '
const rowsMark = '-- rows: '
const sumMark = '-- sha256: '
const endOfRows = Buffer.from('\\.\n')
const newline = 0x0a
/** PostgreSQL's own limit of a field is 1 GB; the fields of Flatline are a small part of this. */
const rowMaxBytes = 256 * 1024 * 1024
/** The header names one partition per day. */
const textMaxBytes = 4 * 1024 * 1024

const id = pg.escapeIdentifier

const copyLine = ({ name, columns }: BackupTable) => `COPY ${id(name)} (${columns.map(id).join(', ')}) FROM stdin;`

/** Whether a database has been used, and not only migrated, which fills in some rows as well. */
export const inUse = '(EXISTS (SELECT FROM projects) OR EXISTS (SELECT FROM audit))'

export function clear(tables: readonly { name: string }[]): string {
  return `TRUNCATE ${tables.map(({ name }) => id(name)).join(', ')}`
}

export function createPartition(table: BackupTable, partition: BackupTable['partitions'][number]): string {
  return `CREATE TABLE IF NOT EXISTS ${id(partition.name)} PARTITION OF ${id(table.name)} ${partition.bound}`
}

/** New rows get numbers after those of existing rows. */
export function advanceSequence(table: BackupTable, column: string): string {
  const sequence = `pg_get_serial_sequence(${pg.escapeLiteral(id(table.name))}, ${pg.escapeLiteral(column)})`
  return `SELECT setval(${sequence}, (SELECT max(${id(column)}) FROM ${id(table.name)}))`
}

/** `rowsOf` returns the output of COPY, in chunks of any size. */
export async function* writeBackup(
  header: BackupHeader,
  rowsOf: (table: BackupTable) => AsyncIterable<Buffer>,
  counted: (table: BackupTable, rows: number) => void,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  const line = (text: string) => summed(Buffer.from(`${text}\n`))
  const summed = (bytes: Buffer) => {
    hash.update(bytes)
    return bytes
  }
  yield line(title)
  yield line(headerMark + JSON.stringify(header))
  yield line("BEGIN;\nSET LOCAL client_encoding = 'UTF8';\nSET LOCAL timezone = 'UTC';")
  yield line(`DO $$ BEGIN IF ${inUse} THEN RAISE 'the database is not empty'; END IF; END $$;`)
  yield line(`${clear(header.tables)};`)
  for (const table of header.tables) {
    for (const partition of table.partitions) yield line(`${createPartition(table, partition)};`)
    yield line(copyLine(table))
    let rows = 0
    for await (const chunk of rowsOf(table)) {
      rows += countLines(chunk)
      yield summed(chunk)
    }
    yield summed(endOfRows)
    yield line(rowsMark + rows)
    for (const column of table.counted) yield line(`${advanceSequence(table, column)};`)
    counted(table, rows)
  }
  yield line('COMMIT;')
  yield Buffer.from(`${sumMark}${hash.digest('hex')}\n`)
}

export type BackupReceiver = {
  begin(header: BackupHeader): Promise<void>
  /** Must take all of `rows`. */
  rows(table: BackupTable, rows: AsyncIterable<Buffer>): Promise<void>
}

/**
 * Resolves once the whole file was read and its checksum was right; until then its data is not verified. Throws
 * BackupFileError.
 */
export async function readBackup(
  source: AsyncIterable<Buffer>,
  receiver: BackupReceiver,
): Promise<{ header: BackupHeader; rows: number }> {
  const reader = createLineReader(source)
  if ((await reader.line()) !== title) throw new BackupFileError('is not a backup made by flatline backup')
  const header = parseHeader(await reader.line())
  await receiver.begin(header)
  let total = 0
  for (const table of header.tables) {
    if ((await reader.lineWith('COPY ')) !== copyLine(table)) throw damaged(`the rows of ${table.name} are missing`)
    const counted = { rows: 0 }
    await receiver.rows(table, reader.rows(counted))
    if ((await reader.line()) !== rowsMark + counted.rows)
      throw damaged(`${table.name} has other rows than were written`)
    total += counted.rows
  }
  const sum = (await reader.lineWith(sumMark)).slice(sumMark.length)
  if (sum !== reader.sum() || !(await reader.atEnd())) throw damaged('its SHA-256 is not what it was written with')
  return { header, rows: total }
}

function damaged(how: string): BackupFileError {
  return new BackupFileError(`is damaged: ${how}`)
}

function parseHeader(line: string): BackupHeader {
  let header: unknown
  try {
    header = JSON.parse(line.slice(headerMark.length))
  } catch {
    throw damaged('its header cannot be read')
  }
  if (!line.startsWith(headerMark) || !Value.Check(Header, header)) {
    throw new BackupFileError('has a header that this version does not know: restore it with the version that made it')
  }
  return header
}

/**
 * Returns lines, and rows up to the line that ends them, and hashes everything that it returned except the line with
 * the checksum.
 */
function createLineReader(source: AsyncIterable<Buffer>) {
  const chunks = source[Symbol.asyncIterator]()
  const hash = createHash('sha256')
  let pending: Buffer = Buffer.alloc(0)

  /** Reads up to the next end of a line. Appending each chunk by itself would copy a long line many times. */
  async function more(maxBytes: number): Promise<boolean> {
    const pieces = pending.length === 0 ? [] : [pending]
    const before = pieces.length
    for (let length = pending.length; ; ) {
      const { value, done } = await chunks.next()
      if (!done) pieces.push(value)
      length += value?.length ?? 0
      if (done || value.includes(newline)) break
      if (length > maxBytes) throw damaged('a line has no end')
    }
    pending = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
    return pieces.length > before
  }

  function take(length: number): Buffer {
    const taken = pending.subarray(0, length)
    pending = pending.subarray(length)
    return taken
  }

  async function line(): Promise<string> {
    let end = pending.indexOf(newline)
    while (end === -1) {
      const searched = pending.length
      if (!(await more(textMaxBytes))) throw damaged('it ends too early')
      end = pending.indexOf(newline, searched)
    }
    const bytes = take(end + 1)
    const text = bytes.toString('utf8', 0, end)
    if (!text.startsWith(sumMark)) hash.update(bytes)
    return text
  }

  return {
    line,
    async lineWith(start: string): Promise<string> {
      for (;;) {
        const text = await line()
        if (text.startsWith(start)) return text
      }
    },
    /** Whole rows, many at a time. */
    async *rows(counted: { rows: number }): AsyncGenerator<Buffer> {
      for (;;) {
        // `pending` always begins at the start of a line here.
        const atStart = pending.subarray(0, endOfRows.length).equals(endOfRows)
        const inside = atStart ? -1 : pending.indexOf('\n\\.\n')
        const whole = take(atStart ? 0 : (inside === -1 ? pending.lastIndexOf(newline) : inside) + 1)
        if (whole.length > 0) {
          hash.update(whole)
          counted.rows += countLines(whole)
          yield whole
        }
        if (atStart || inside !== -1) {
          hash.update(take(endOfRows.length))
          return
        }
        if (!(await more(rowMaxBytes))) throw damaged('it ends too early')
      }
    },
    sum: () => hash.digest('hex'),
    atEnd: async () => pending.length === 0 && !(await more(textMaxBytes)),
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) lines++
  return lines
}
