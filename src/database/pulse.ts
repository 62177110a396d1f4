// Whether the database answers at all, asked on a connection of its own. A slow statement, or a pool whose connections are all in use, says
// nothing of the database; a trivial question that gets no answer does. While it hangs (a stopped process, a black hole in the network),
// whoever would wait for it is told at once, and so is whoever waits already: each would wait for the longest time-out there is otherwise.

import type { Socket } from 'node:net'
import pg from 'pg'
import { AppError } from '../core/errors.ts'

export type Pulse = ReturnType<typeof createPulse>

/** Between two questions. */
const intervalMs = 500
/** After so many times `hangAfterMs` another connection is tried: the one in use may be dead, and nobody says so. */
const reconnectFactor = 3

/** Names the breaker, as an open one does: nobody tries again, because sparing everybody the wait is its purpose. */
class DatabaseHangsError extends AppError {
  readonly breaker = 'database'

  constructor() {
    super('unavailable', 'the database does not answer, try again shortly', { retryAfterS: 1 })
  }
}

export function createPulse(options: {
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
    // A farewell that nobody reads would keep the connection, and with it the process.
    ;(one as { connection?: { stream: Socket } } | null)?.connection?.stream.destroy()
  }

  async function beat(): Promise<void> {
    const late = setTimeout(set, hangAfterMs, true)
    try {
      const used = client ?? (await connect())
      await used.query('SELECT 1')
      set(false)
    } catch (error) {
      drop(client)
      // A server that refuses is no server that hangs: everybody else hears the same from it, at once.
      if (!/timeout/i.test((error as Error).message)) set(false)
    } finally {
      clearTimeout(late)
      if (!isStopped) timer = setTimeout(beat, intervalMs)
    }
  }

  return {
    start: (): void => void beat(),

    stop(): void {
      isStopped = true
      clearTimeout(timer)
      drop(client)
    },

    isHanging: (): boolean => isHanging,

    /** What `work` says, unless the database is found to hang; what comes of it then nobody hears. */
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
