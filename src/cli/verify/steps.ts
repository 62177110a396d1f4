// The steps of `flatline verify`. Each resolves with what it has seen, or throws what is wrong.

import { setTimeout as sleep } from 'node:timers/promises'
import { CommandError } from '../errors.ts'
import type { Row } from '../resources/print.ts'
import type { Server } from '../server.ts'
import { createChecks } from '../target/target.ts'

export type Verification = {
  server: Server
  /** Unique for this run; the tag and the names of what it creates. */
  tag: string
  /** How long to wait for what happens by itself. */
  timeoutMs: number
  metricsUrl: string
  metricsToken: string | undefined
  /** A channel of the project that gets a test message, too; its id. */
  channel: string | undefined
  signal: AbortSignal
}

/** The checks of a run: one that sends heartbeats, and one that receives the alert of the other as a heartbeat. */
export type OwnChecks = { job: string; receiver: string }

export const ownTag = 'flatline-verify'

export async function readiness({ server, signal }: Verification): Promise<string> {
  const { status, text } = await ask(`${server.url}/health/ready`, { signal })
  if (status !== 200) throw new CommandError(`/health/ready answers ${status}: ${text.slice(0, 200)}`)
  return 'accepts heartbeats'
}

export async function create({ server, tag }: Verification): Promise<OwnChecks> {
  const names = [`${tag}-job`, `${tag}-receiver`]
  const [job = '', receiver = ''] = await createChecks(server, { names, tags: `${ownTag} ${tag}` })
  return { job, receiver }
}

export async function write(run: Verification, { job }: OwnChecks): Promise<string> {
  await ping(run, job, '', run.tag)
  return 'a heartbeat is answered OK'
}

/** A spooled heartbeat arrives later. */
export async function readBack(run: Verification, { job }: OwnChecks): Promise<string> {
  const { server, tag } = run
  await until(run, 'the heartbeat is not found', async () => {
    const { n_pings: count, status } = (await server.get(`/api/v3/checks/${job}`)) as Row
    return count === 1 && status === 'up'
  })
  const { pings } = (await server.get(`/api/v3/checks/${job}/pings/`)) as { pings: Row[] }
  if (pings.length !== 1 || pings[0]?.type !== 'success')
    throw new CommandError(`the history contains ${pings.length} heartbeats instead of one`)
  const body = await ask(`${server.url}/api/v3/checks/${job}/pings/1/body`, { signal: run.signal, key: server.key })
  if (body.text !== tag) throw new CommandError('the body of the heartbeat is not the one that was sent')
  return 'the check is up, and the history has the heartbeat with its body'
}

/**
 * Behind a load balancer each scrape may reach another replica, therefore the counter is compared with the one of the
 * same process, which its start time and its host name identify.
 */
export async function metrics(run: Verification, { job }: OwnChecks): Promise<string> {
  const known = new Map<string, number>()
  let seen = ''
  await until(run, 'heartbeats_received_total does not move', async () => {
    const { status, text } = await ask(run.metricsUrl, { signal: run.signal, bearer: run.metricsToken })
    if (status !== 200) throw new CommandError(`${run.metricsUrl} answers ${status}`)
    const process = linesOf(text, /^(process_start_time_seconds|build_info)\b.*/gm).join(' ')
    const counts = linesOf(text, /^heartbeats_received_total\{.*\} (\S+)/gm).map((line) =>
      Number(line.split(' ').at(-1)),
    )
    const count = counts.reduce((sum, one) => sum + one, 0)
    if (process === '') throw new CommandError(`${run.metricsUrl} does not serve the metrics of Flatline`)
    const before = known.get(process)
    seen = `heartbeats_received_total has moved from ${before} to ${count}`
    if (before !== undefined && count > before) return true
    if (before === undefined) known.set(process, count)
    await ping(run, job, '/log', '')
    return false
  })
  return seen
}

const linesOf = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([line]) => line)

export async function ping(run: Verification, check: string, suffix: string, body: string): Promise<void> {
  const { status, text } = await ask(`${run.server.url}/ping/${check}${suffix}`, { signal: run.signal, body })
  if (status !== 200) throw new CommandError(`the heartbeat is answered ${status}: ${text.slice(0, 200)}`)
}

/** Polls until `holds` resolves with true. Throws the problem when the time is over. */
export async function until(run: Verification, problem: string, holds: () => Promise<boolean>): Promise<void> {
  const giveUp = performance.now() + run.timeoutMs
  for (;;) {
    if (await holds()) return
    run.signal.throwIfAborted()
    if (performance.now() > giveUp) throw new CommandError(`${problem} within ${run.timeoutMs / 1000} s`)
    await sleep(200, undefined, { signal: run.signal })
  }
}

const answerMaxLength = 32 * 2 ** 20
const requestMs = 30_000

/** One request; redirects are not followed. */
async function ask(
  url: string,
  { signal, body, bearer, key }: { signal: AbortSignal; body?: string; bearer?: string | undefined; key?: string },
): Promise<{ status: number; text: string }> {
  const response = await fetch(url, {
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(requestMs)]),
    headers: { ...(bearer && { authorization: `Bearer ${bearer}` }), ...(key && { 'x-api-key': key }) },
    ...(body !== undefined && { method: 'POST', body }),
  }).catch((error: Error & { cause?: Error }) => {
    throw new CommandError(`no answer: ${error.cause?.message || error.message}`)
  })
  const text = await response.text()
  if (text.length > answerMaxLength) throw new CommandError('the answer is too long')
  return { status: response.status, text }
}
