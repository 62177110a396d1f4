// Detects a database that hangs, by trivial queries on a connection of its own. A slow statement, or a pool whose connections
// are all in use, does not mean that the database hangs; an unanswered trivial query does. While it hangs (a stopped
// process, packets dropped by the network), new calls and waiting calls fail at once: otherwise each would wait for the
// longest time-out.

import type { Socket } from 'node:net'
import pg from 'pg'
import { AppError } from '../core/errors.ts'

export type HangDetector = ReturnType<typeof createHangDetector>

/** The interval between two queries. */
const intervalMs = 500
/** After this many times `hangAfterMs` another connection is tried: the current one may be dead without an error. */
const reconnectFactor = 3

/** Has a `breaker`, like the error of an open breaker, so that no caller retries and waits nevertheless. */
class DatabaseHangsError extends AppError {
  readonly breaker = 'database'

  constructor() {
    super('unavailable', 'the database does not answer, try again shortly', { retryAfterS: 1 })
  }
}

export function createHangDetector(options: {
  connection: pg.ClientConfig
  hangAfterMs: number
  onChange: (isHanging: boolean) => void
}) {
  const { connection, hangAfterMs, onChange } = options
  const waiting = new Set<(error: Error) => void>()
  let isHanging = false
  let isStopped = false
  let client: pg.Client | null = null
  let timer: NodeJS.Timeout | undefined

  function set(next: boolean): void {
    if (next === isHanging || isStopped) return
    isHanging = next
    onChange(next)
    if (!next) return
    for (const reject of [...waiting]) reject(new DatabaseHangsError())
  }

  async function connect(): Promise<pg.Client> {
    const made = new pg.Client({
      ...connection,
      connectionTimeoutMillis: hangAfterMs * reconnectFactor,
      query_timeout: hangAfterMs * reconnectFactor,
      application_name: 'flatline pulse',
    })
    made.on('error', () => drop(made))
    client = made
    await made.connect()
    return made
  }

  function drop(one: pg.Client | null): void {
    if (client === one) client = null
    one?.end().catch(() => undefined)
    // A server that hangs does not read the closing message, which would keep the connection, and with it the process.
    ;(one as { connection?: { stream: Socket } } | null)?.connection?.stream.destroy()
  }

  async function probe(): Promise<void> {
    const late = setTimeout(set, hangAfterMs, true)
    try {
      const used = client ?? (await connect())
      await used.query('SELECT 1')
      set(false)
    } catch (error) {
      drop(client)
      // A server that refuses does not hang: other connections get the same refusal, at once.
      if (!/timeout/i.test((error as Error).message)) set(false)
    } finally {
      clearTimeout(late)
      if (!isStopped) timer = setTimeout(probe, intervalMs)
    }
  }

  return {
    start: (): void => void probe(),

    stop(): void {
      isStopped = true
      clearTimeout(timer)
      drop(client)
    },

    isHanging: (): boolean => isHanging,

    /** The result of `work`. Rejects as soon as the database hangs, and then ignores the result. */
    unlessHanging<T>(work: () => Promise<T>): Promise<T> {
      if (isHanging) return Promise.reject(new DatabaseHangsError())
      return new Promise((resolve, reject) => {
        waiting.add(reject)
        work()
          .then(resolve, reject)
          .finally(() => waiting.delete(reject))
      })
    },
  }
}
