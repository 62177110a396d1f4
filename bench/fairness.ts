// Whether a flood of pings delays other work: node bench/fairness.ts [--seconds 20] [--connections 128]. Measures how
// long a management call takes, and how long after its deadline a silent check is detected, without load and during a
// flood. Prints figures; it never passes or fails.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  apiKey,
  bench,
  createChecks,
  percentile,
  readNumbers,
  requireWrk,
  runWrk,
  type Server,
  startService,
} from './service.ts'

const { seconds, connections } = readNumbers({ seconds: 20, connections: 128 })
const pauseMs = 20
const silentEveryMs = 500
const timeoutS = 2
const graceS = 1

requireWrk()
await bench(async (scratch) => {
  const service = await startService(scratch)
  const paths = await createChecks(service.url)
  const list = join(scratch, 'paths')
  await writeFile(list, `${paths.join('\n')}\n`)
  await observe(service, paths, 2)
  report('without load', await observe(service, paths, seconds))
  const [run, observed] = await Promise.all([
    // Until the last silent check is down.
    runWrk(service, seconds + timeoutS + graceS + 2, connections, list),
    observe(service, paths, seconds),
  ])
  report(`during ${(run.answered / run.seconds).toFixed(0)} pings/s over ${connections} connections`, observed)
})

type Observed = { callsMs: number[]; lateMs: number[] }

async function observe(service: Server, paths: readonly string[], forSeconds: number): Promise<Observed> {
  const until = performance.now() + forSeconds * 1000
  const observed: Observed = { callsMs: [], lateMs: [] }
  const read = async () => {
    for (let i = 0; performance.now() < until; i++) {
      const began = performance.now()
      await get(service, (paths[i % paths.length] as string).split('/').at(-1) as string)
      observed.callsMs.push(performance.now() - began)
      await sleep(pauseMs)
    }
  }
  const silent: Promise<void>[] = []
  const fallSilent = async () => {
    for (; performance.now() < until; await sleep(silentEveryMs)) silent.push(waitForDown(service, observed))
  }
  await Promise.all([read(), fallSilent()])
  await Promise.all(silent)
  return observed
}

/** One ping and then none: the time from the deadline until the flip is in the outbox, including the polling. */
async function waitForDown(service: Server, { lateMs }: Observed): Promise<void> {
  const made = await fetch(`${service.url}/api/v3/checks/`, {
    method: 'POST',
    headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'silent', timeout: timeoutS, grace: graceS }),
  })
  const { uuid } = (await made.json()) as { uuid: string }
  await (await fetch(`${service.url}/ping/${uuid}`)).text()
  // The API gives whole seconds; this is at most the time of the answer too late.
  const deadline = Date.now() + (timeoutS + graceS) * 1000
  await sleep(deadline - Date.now())
  const isDown = async () =>
    (await get<{ flips: { up: number }[] }>(service, `${uuid}/flips/`)).flips.some(({ up }) => up === 0)
  while (!(await isDown())) await sleep(pauseMs)
  lateMs.push(Date.now() - deadline)
}

async function get<T>({ url }: Server, path: string): Promise<T> {
  const answer = await fetch(`${url}/api/v3/checks/${path}`, { headers: { 'x-api-key': apiKey } })
  if (!answer.ok) throw new Error(`answered ${answer.status}`)
  return (await answer.json()) as T
}

function report(when: string, { callsMs, lateMs }: Observed): void {
  const two = (values: number[]) => [0.5, 0.99].map((share) => percentile(values, share).toFixed(0))
  const [call50, call99] = two(callsMs)
  const [late50, late99] = two(lateMs)
  console.log(`${when}: management call p50 ${call50} ms, p99 ${call99} ms (${callsMs.length} calls)`)
  console.log(`  down after the deadline: p50 ${late50} ms, p99 ${late99} ms (${lateMs.length} checks; target: 1 s)`)
}
