// Sends heartbeats at a fixed rate. A latency begins when the heartbeat was due, not when a connection was free for it:
// otherwise a service that stops for a second would look fast, because nothing was sent in that second.

import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadPlan } from './plan.ts'

export type LoadResult = {
  sent: number
  accepted: number
  /** By status. */
  refused: Record<string, number>
  /** By the code of the failure. */
  unanswered: Record<string, number>
  /** Due, but all connections were in use until the end, or the run was interrupted. */
  notSent: number
  tookMs: number
  /** Of all answers, in microseconds. */
  latency: RecordableHistogram
}

/** Failures have few codes; what is beyond this is counted together. */
const codesMax = 20
const hourUs = 3_600_000_000

/** Ends after the duration of the plan, or when the signal is aborted; requests on their way are finished. */
export async function generateLoad(plan: LoadPlan, urls: readonly string[], signal: AbortSignal): Promise<LoadResult> {
  const { rate, durationMs, connections } = plan
  const total = Math.max(1, Math.round((rate * durationMs) / 1000))
  const latency = createHistogram({ lowest: 1, highest: hourUs, figures: 3 })
  const result: LoadResult = { sent: 0, accepted: 0, refused: {}, unanswered: {}, notSent: 0, tookMs: 0, latency }
  const send = createSender(plan, urls[0] ?? '')
  const began = performance.now()
  let next = 0

  async function sendInTurn(): Promise<void> {
    for (;;) {
      const index = next++
      const due = began + (index * 1000) / rate
      if (index >= total) return
      await sleep(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => undefined)
      if (signal.aborted || performance.now() > began + durationMs + 1000 / rate) return
      result.sent++
      count(result, await send.request(urls[index % urls.length] ?? ''))
      latency.record(Math.min(hourUs, Math.max(1, Math.round((performance.now() - due) * 1000))))
    }
  }

  try {
    await Promise.all(Array.from({ length: connections }, sendInTurn))
  } finally {
    send.close()
  }
  return { ...result, notSent: total - result.sent, tookMs: performance.now() - began }
}

function count(result: LoadResult, outcome: number | string): void {
  if (outcome === 200) result.accepted++
  else add(typeof outcome === 'number' ? result.refused : result.unanswered, String(outcome))
}

function add(counts: Record<string, number>, name: string): void {
  const key = Object.hasOwn(counts, name) || Object.keys(counts).length < codesMax ? name : 'other'
  counts[key] = (counts[key] ?? 0) + 1
}

/** One request at a time on each kept connection. Resolves with the status, or the code of the failure. */
function createSender({ connections, requestTimeoutMs, bodyBytes }: LoadPlan, first: string) {
  const isTls = first.startsWith('https:')
  const options = { keepAlive: true, maxSockets: connections, maxFreeSockets: connections }
  const agent = isTls ? new HttpsAgent(options) : new HttpAgent(options)
  const open = isTls ? httpsRequest : httpRequest
  const body = 'x'.repeat(bodyBytes)
  const headers = { 'content-length': String(bodyBytes), 'user-agent': 'flatline-load' }
  return {
    request: (url: string) =>
      new Promise<number | string>((resolve) => {
        const sent = open(url, { method: 'POST', agent, headers })
        const timer = setTimeout(
          () => sent.destroy(Object.assign(new Error('timeout'), { code: 'timeout' })),
          requestTimeoutMs,
        )
        const end = (outcome: number | string) => {
          clearTimeout(timer)
          resolve(outcome)
        }
        const fail = (error: NodeJS.ErrnoException) => end(error.code ?? error.name)
        sent.on('error', fail)
        sent.on('response', (response) => {
          response
            .on('error', fail)
            .on('end', () => end(response.statusCode ?? 0))
            .resume()
        })
        sent.end(body)
      }),
    close: () => agent.destroy(),
  }
}
