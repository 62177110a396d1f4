// A TCP proxy in front of PostgreSQL that can fail in the ways networks do.

import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pause } from './patience.ts'

/** blackhole: connections are accepted and bytes vanish. refuse: nobody listens. reset: connections break, new ones at once.
 * slow: every answer takes two seconds. */
export type Fault = 'pass' | 'blackhole' | 'refuse' | 'reset' | 'slow'

/**
 * When a connection breaks on which the client has asked for a commit, which is all that the client sees: before the database heard of
 * it, once it had heard, and once it had answered.
 */
type CommitCut = 'unheard' | 'heard' | 'answered'

const slowMs = 2000

export type FaultProxy = {
  url: string
  set: (fault: Fault) => Promise<void>
  /** Breaks the next connection that carries one of these words; resolves once it has. */
  cutAt: (words: readonly string[], moment: CommitCut) => Promise<void>
}

/** In front of a database whose URL names a Unix socket's directory (`?host=`), as the tests' own do. */
export async function createFaultProxy(t: Pick<TestContext, 'after'>, databaseUrl: string): Promise<FaultProxy> {
  const target = new URL(databaseUrl)
  const socketPath = join(target.searchParams.get('host') ?? '', `.s.PGSQL.${target.port || 5432}`)
  const sockets = new Set<Socket>()
  let fault: Fault = 'pass'
  let cut: { words: readonly string[]; moment: CommitCut; done: () => void } | null = null

  function keep(socket: Socket): Socket {
    sockets.add(socket)
    return socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  }
  const server = createServer((near) => {
    keep(near)
    if (fault === 'reset') return near.resetAndDestroy()
    const far = keep(createConnection(socketPath))
    let isCut = false
    near.on('data', (bytes) => {
      if ((fault !== 'pass' && fault !== 'slow') || isCut) return
      if (cut?.words.some((word) => bytes.includes(word))) {
        isCut = true
        breakAt(cut.moment, near, far, bytes)
        cut.done()
        cut = null
      } else far.write(bytes)
    })
    far.on('data', (bytes) => {
      if (fault === 'slow') void pause(slowMs).then(() => near.write(bytes))
      else if (fault === 'pass' && !isCut) near.write(bytes)
    })
    near.on('close', () => isCut || far.destroy())
    far.on('close', () => near.destroy())
  })
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const close = async () => {
    const closed = server.listening ? new Promise((resolve) => server.close(resolve)) : Promise.resolve()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  t.after(close)

  return {
    url: `postgres://${target.username}@127.0.0.1:${port}${target.pathname}`,
    async set(next) {
      fault = next
      if (next === 'refuse') return close()
      // Those to the database are of a kind that cannot be reset; they end with their near side.
      if (next === 'reset') for (const socket of sockets) if (socket.remoteAddress) socket.resetAndDestroy()
      if (!server.listening) await listen(port)
    },
    cutAt: (words, moment) => new Promise((done) => (cut = { words, moment, done })),
  }
}

function breakAt(moment: CommitCut, near: Socket, far: Socket, bytes: Buffer): void {
  if (moment === 'unheard') far.destroy()
  else if (moment === 'heard') {
    far.end(bytes)
    near.resetAndDestroy()
  } else far.once('data', () => far.destroy()).write(bytes)
}
