// A client of the fleet, as a process of its own: heartbeats and management calls at a constant rate, whatever becomes of them. Nothing is
// sent twice. At the end it reports to the parent what was acknowledged and what was not.

import { randomUUID } from 'node:crypto'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { patience, pause } from '../../patience.ts'

export type ClientOptions = {
  socketPath: string
  apiKey: string
  /** Ids of the checks that get heartbeats. */
  checks: string[]
  pingsPerSecond: number
  storiesPerSecond: number
  /** Every n-th heartbeat takes a second and a half to send its body. */
  slowEvery: number
  /** A connection for each request. Otherwise two of three share connections. */
  unshared?: boolean
}

/** `id` is the request's X-Request-Id. Instants in epoch milliseconds. */
type Failure = { id: string; what: string; problem: string; sentAt: number; endedAt: number }

export type Report = {
  /** Run ids of the heartbeats that were answered OK. */
  acknowledged: string[]
  /** How many of them took long to send. */
  slow: number
  /** Management calls that were answered as they should be. */
  calls: number
  /** Names of the checks that were created, and of those that were deleted again. */
  created: string[]
  deleted: string[]
  failures: Failure[]
}

export type Progress = { sent: number; answered: number }

type Exchange = { method: string; path: string; id: string; body?: string; slow?: boolean; expected: number }

const tickMs = 20
const slowMs = 1500
const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const options: ClientOptions = JSON.parse(process.argv[2] as string)
const report: Report = { acknowledged: [], slow: 0, calls: 0, created: [], deleted: [], failures: [] }
const progress: Progress = { sent: 0, answered: 0 }
const underWay = new Set<Promise<unknown>>()
let going = true

process.on('message', () => {
  going = false
})
process.on('disconnect', () => process.exit(1))
await run()

async function run(): Promise<void> {
  const began = performance.now()
  let pings = 0
  let stories = 0
  for (let tick = 0; going; tick++) {
    const seconds = (performance.now() - began) / 1000
    for (; pings < seconds * options.pingsPerSecond; pings++) begin(ping(pings))
    for (; stories < seconds * options.storiesPerSecond; stories++) begin(story(stories))
    if (tick % 10 === 0) process.send?.({ progress })
    await pause(tickMs)
  }
  await Promise.all(underWay)
  process.send?.({ report }, () => process.exit(0))
}

function begin(work: Promise<unknown>): void {
  const one = work.finally(() => underWay.delete(one))
  underWay.add(one)
}

async function ping(number: number): Promise<void> {
  const rid = randomUUID()
  const check = options.checks[number % options.checks.length]
  const method = ['GET', 'POST', 'HEAD', 'PUT'][number % 4] as string
  const hasBody = method === 'POST' || method === 'PUT'
  const slow = hasBody && number % options.slowEvery === 1
  const path = `/ping/${check}?rid=${rid}`
  const answer = await exchange({ method, path, id: rid, expected: 200, slow, ...(hasBody && { body: rid }) }, number)
  if (answer === null) return
  if (method !== 'HEAD' && answer !== 'OK') return fail(rid, `${method} /ping`, `answered ${answer}`, Date.now())
  report.acknowledged.push(rid)
  if (slow) report.slow++
}

/** Creates a check, reads it, changes it, reads it again and deletes every second one: each call may meet another replica. */
async function story(number: number): Promise<void> {
  const name = randomUUID()
  let calls = 0
  const call = async (method: string, path: string, expected: number, body?: object) => {
    const id = `${name}-${calls++}`
    const answer = await exchange(
      { method, path, id, expected, ...(body && { body: JSON.stringify(body) }) },
      number + calls,
    )
    return answer === null ? null : { id, ...(JSON.parse(answer) as { uuid?: string; name?: string; tags?: string }) }
  }
  const made = await call('POST', '/api/v3/checks/', 201, { name, timeout: 86_400, grace: 3600 })
  if (made === null) return
  report.created.push(name)
  const path = `/api/v3/checks/${made.uuid}`
  const read = await call('GET', path, 200)
  if (read && read.name !== name) return fail(read.id, 'GET check', `read ${read.name} instead of ${name}`, Date.now())
  const changed = read && (await call('POST', path, 200, { tags: name }))
  const again = changed && (await call('GET', path, 200))
  if (again && again.tags !== name) return fail(again.id, 'GET check', 'read what it was before the change', Date.now())
  if (again && number % 2 === 1 && (await call('DELETE', path, 200))) report.deleted.push(name)
  report.calls += calls
}

/** The body of the expected answer; null if it was another, or none. */
async function exchange(one: Exchange, number: number): Promise<string | null> {
  const sentAt = Date.now()
  const what = `${one.method} ${one.path.replace(/[0-9a-f-]{36}/, '…').replace(/\?.*/, '')}`
  progress.sent++
  try {
    const response = await send(one, number)
    const body = await text(response)
    if (response.statusCode === one.expected) return body
    fail(one.id, what, `${response.statusCode} ${body.slice(0, 200).replaceAll('\n', ' ')}`, sentAt)
  } catch (error) {
    fail(one.id, what, `${(error as { code?: string }).code} ${(error as Error).message}`, sentAt)
  } finally {
    progress.answered++
  }
  return null
}

function send({ method, path, id, body, slow }: Exchange, number: number): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const headers: Record<string, string | number> = { 'x-request-id': id, host: 'flatline.test' }
  if (path.startsWith('/api/')) headers['x-api-key'] = options.apiKey
  if (body) Object.assign(headers, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  const sent = request({
    socketPath: options.socketPath,
    method,
    path,
    headers,
    agent: options.unshared || number % 3 === 0 ? false : agent,
    timeout: patience(20_000),
  })
  sent.once('response', resolve).once('error', reject)
  sent.once('timeout', () => sent.destroy(new Error('no answer')))
  if (body && slow) {
    sent.write(body.slice(0, 10))
    pause(slowMs).then(() => sent.end(body.slice(10)))
  } else sent.end(body)
  return promise
}

function fail(id: string, what: string, problem: string, sentAt: number): void {
  report.failures.push({ id, what, problem, sentAt, endedAt: Date.now() })
}
