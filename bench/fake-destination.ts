// A fake destination of alerts on this machine, which answers at once or not at all.

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Epoch milliseconds: when a message came, and when its event happened. An outage and its recovery may come as one message. */
export type Arrival = { at: number; flippedAt: number; changes: number }

export type FakeDestination = {
  url: string
  /** Of messages that were answered, each once. */
  arrivals: Arrival[]
  /** How many changes they reported. */
  told: () => number
  /** Messages that came again after they had been answered. */
  repeated: () => number
  /** Requests that wait for an answer. */
  waiting: () => number
  hang: () => void
  /** From now on, and what waits for an answer too. */
  answer: () => void
}

export async function startFakeDestination(): Promise<FakeDestination> {
  const arrivals: Arrival[] = []
  const keys = new Set<string>()
  const waiting = new Set<() => void>()
  let told = 0
  let repeated = 0
  let hangs = false

  function take(key: string, text: string, response: ServerResponse): void {
    const at = Date.now()
    response.end('ok')
    if (keys.has(key)) {
      repeated++
      return
    }
    keys.add(key)
    const { flip, outage } = JSON.parse(text) as { flip: { at: string }; outage?: { untold: boolean } }
    const changes = outage?.untold ? 2 : 1
    arrivals.push({ at, flippedAt: Date.parse(flip.at), changes })
    told += changes
  }

  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      const answer = () => take(String(request.headers['idempotency-key']), text, response)
      if (!hangs) return answer()
      waiting.add(answer)
      response.once('close', () => waiting.delete(answer))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    arrivals,
    told: () => told,
    repeated: () => repeated,
    waiting: () => waiting.size,
    hang: () => {
      hangs = true
    },
    answer: () => {
      hangs = false
      for (const answer of waiting) answer()
      waiting.clear()
    },
  }
}
