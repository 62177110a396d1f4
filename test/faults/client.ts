// A client that never stops, whatever happens to its requests: single pings, each sent once, and uploads of many
// heartbeats, which are sent again under the same ids until they are answered, as a device would. Each heartbeat has
// its own run id, by which the ledger finds it.

import { randomInt, randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { keys } from '../helper.ts'
import { patience, pause } from '../patience.ts'

/** What one heartbeat was: `body` is null for none, `isUpload` says that it was sent under an id as well. */
type Sent = { check: string; body: string | null; isUpload: boolean }

export type Tally = {
  /** By run id. */
  sent: Map<string, Sent>
  acknowledged: Set<string>
  /** How many were answered with a request to come again, and how many got no answer at all. */
  refused: number
  unanswered: number
  /** Uploads that were sent more than once. */
  repeated: number
  /** Answers that no fault excuses. */
  strange: string[]
}

export type Client = { tally: Tally /** Waits for every answer. */; stop: () => Promise<Tally> }

export type Target = { url: string }

/** `mayRetry`: the answer had a Retry-After. */
type Answer = { status: number; text: string; mayRetry: boolean }

const uploadMax = 60
/** Between two requests of one sender, longer on a busy machine, which is not to be tested for its speed. */
const pauseMs = { single: patience(4), upload: patience(40) }
const answerMs = patience(30_000)

/** `targets` are those of the moment; one of them is chosen for each request. */
export function startClient(options: {
  targets: () => readonly Target[]
  checks: readonly string[]
  singles: number
  uploaders: number
}): Client {
  const { targets, checks } = options
  const agent = new Agent({ keepAlive: true })
  const tally: Tally = {
    ...{ sent: new Map(), acknowledged: new Set(), strange: [] },
    ...{ refused: 0, unanswered: 0, repeated: 0 },
  }
  let going = true

  async function exchange(method: string, path: string, body?: string): Promise<Answer | null> {
    const all = targets()
    const target = all[randomInt(all.length)] as Target
    try {
      return await send(agent, method, target.url + path, body)
    } catch {
      return null
    }
  }

  function next(isUpload: boolean): { rid: string; sent: Sent } {
    const rid = randomUUID()
    const body = randomInt(3) === 0 ? rid : null
    const sent = { check: checks[randomInt(checks.length)] as string, body, isUpload }
    tally.sent.set(rid, sent)
    return { rid, sent }
  }

  async function sendSingle(): Promise<void> {
    const { rid, sent } = next(false)
    const path = `/ping/${sent.check}${suffix(sent.check, checks)}?rid=${rid}`
    const answer = await exchange(sent.body === null ? 'GET' : 'POST', path, sent.body ?? undefined)
    if (answer?.status === 200 && answer.text === 'OK') tally.acknowledged.add(rid)
    else if (answer?.status === 503 && answer.mayRetry) tally.refused++
    else if (answer) tally.strange.push(`${path}: ${answer.status} ${answer.text}`)
    else tally.unanswered++
  }

  async function sendUpload(): Promise<void> {
    const entries = Array.from({ length: 1 + randomInt(uploadMax) }, () => next(true))
    const lines = entries.map(({ rid, sent: { check, body } }) => JSON.stringify({ check, rid, id: rid, body }))
    const giveUp = performance.now() + answerMs
    for (let attempt = 1; ; attempt++) {
      const answer = await exchange('POST', '/api/v3/heartbeats/', lines.join('\n'))
      if (answer?.status === 200) {
        const { rejected } = JSON.parse(answer.text) as { rejected: { index: number; error: string }[] }
        const refused = new Set(rejected.map(({ index }) => index))
        for (const [index, { rid }] of entries.entries()) if (!refused.has(index)) tally.acknowledged.add(rid)
        for (const { error } of rejected) if (!error.startsWith('could not be stored')) tally.strange.push(error)
        tally.refused += refused.size
        return
      }
      if (answer && !(answer.status === 503 && answer.mayRetry))
        tally.strange.push(`upload: ${answer.status} ${answer.text}`)
      if (!going || performance.now() > giveUp) {
        if (answer) tally.refused += entries.length
        else tally.unanswered += entries.length
        return
      }
      if (attempt === 1) tally.repeated++
      await pause(pauseMs.upload)
    }
  }

  async function repeat(work: () => Promise<void>, ms: number): Promise<void> {
    for (; going; await pause(ms)) await work()
  }
  const running = Promise.all([
    ...Array.from({ length: options.singles }, () => repeat(sendSingle, pauseMs.single)),
    ...Array.from({ length: options.uploaders }, () => repeat(sendUpload, pauseMs.upload)),
  ])
  return {
    tally,
    async stop() {
      going = false
      await running
      agent.destroy()
      return tally
    },
  }
}

/** One half of the checks gets nothing but successes, which take the shortest way to the disk; the others get everything. */
function suffix(check: string, checks: readonly string[]): string {
  if (checks.indexOf(check) % 2 === 0) return ''
  return ['/start', '/fail', '/log', '/3'][randomInt(40)] ?? ''
}

function send(agent: Agent, method: string, url: string, body?: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const headers: Record<string, string | number> = { 'x-api-key': keys.api_key }
  if (body !== undefined) headers['content-length'] = Buffer.byteLength(body)
  const sent = request(url, { method, agent, headers, timeout: answerMs }, (response) => {
    const { statusCode: status = 0, headers } = response
    text(response).then((body) => resolve({ status, text: body, mayRetry: 'retry-after' in headers }), reject)
  })
  sent.once('error', reject).once('timeout', () => sent.destroy(new Error('no answer')))
  sent.end(body)
  return promise
}
