// A base backup by PostgreSQL's replication protocol, which needs no program on either side:
// https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-BASE-BACKUP
// It is a copy of the files of a running server. Together with the write-ahead log from its start on, it can be brought
// to any later moment.

import { Readable } from 'node:stream'
import pg from 'pg'
import { nameOfSegment } from './wal.ts'

/** Where a server can be reached. */
export type ReplicationAddress = pg.ClientConfig

export type BaseBackupStart = { system: string; serverVersion: string; timeline: number; startSegment: string }

type Connection = { query(text: string): void; stream: { pause(): void; resume(): void } }
type ProtocolMessage = { fields: (string | null)[]; chunk: Buffer }

/** Without a manifest of all files: the archive has its own checksum. The log in it makes it usable on its own. */
const command = "BASE_BACKUP (LABEL 'flatline', CHECKPOINT 'fast', WAL true, WAIT false, MANIFEST 'no')"
const newArchive = 'n'.charCodeAt(0)
const data = 'd'.charCodeAt(0)

/** Calls `store` with the files as a tar archive. The role needs the right to replicate. */
export async function takeBaseBackup<Stored>(
  connection: ReplicationAddress,
  store: (start: BaseBackupStart, tar: AsyncIterable<Buffer>) => Promise<Stored>,
): Promise<Stored> {
  const client = new pg.Client({ ...connection, replication: 'true' } as pg.ClientConfig)
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows: about } = await client.query<{ systemid: string }>('IDENTIFY_SYSTEM')
    const { rows: version } = await client.query<{ server_version: string }>('SHOW server_version')
    const { rows: size } = await client.query<{ wal_segment_size: string }>('SHOW wal_segment_size')
    const query = new BaseBackupQuery()
    client.query(query)
    const [location = '', timeline = ''] = await query.started
    const start = {
      system: about[0]?.systemid ?? '',
      serverVersion: version[0]?.server_version ?? '',
      timeline: Number(timeline),
      startSegment: nameOfSegment(Number(timeline), location, size[0]?.wal_segment_size ?? ''),
    }
    return await store(start, query)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** The first row of the answer is where the backup starts; the archive follows. */
class BaseBackupQuery extends Readable {
  readonly started: Promise<string[]>
  private connection: Connection | undefined
  private archives = 0
  private resolveStart!: (row: string[]) => void
  private rejectStart!: (error: Error) => void

  constructor() {
    super({ highWaterMark: 4 * 1024 * 1024 })
    this.started = new Promise((resolve, reject) => {
      this.resolveStart = resolve
      this.rejectStart = reject
    })
    this.started.catch(() => undefined)
    this.once('error', () => undefined)
  }

  submit(connection: Connection): void {
    this.connection = connection
    connection.query(command)
  }

  override _read(): void {
    this.connection?.stream.resume()
  }

  handleRowDescription(): void {}
  handleCommandComplete(): void {}

  handleDataRow({ fields }: ProtocolMessage): void {
    this.resolveStart(fields.map(String))
  }

  handleCopyData({ chunk }: ProtocolMessage): void {
    if (chunk[0] === newArchive && ++this.archives > 1)
      return void this.destroy(new Error('a server with tablespaces of its own cannot be backed up this way'))
    // The buffer of the connection is used again.
    if (chunk[0] === data && !this.push(Buffer.from(chunk.subarray(1)))) this.connection?.stream.pause()
  }

  handleError(error: Error): void {
    this.rejectStart(error)
    this.destroy(error)
  }

  handleReadyForQuery(): void {
    if (!this.destroyed) this.push(null)
  }
}
