// `flatline load --target URL`: a load test of a deployed service, with checks of its own that go again.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeOptions, parseOptions } from '../arguments/options.ts'
import { type Output, processOutput } from '../resources/print.ts'
import type { Server } from '../server.ts'
import { createChecks, deleteChecks, openTarget, readChecks } from '../target/target.ts'
import { generateLoad } from './generator.ts'
import { type LoadPlan, loadOptions, readPlan } from './plan.ts'
import { type LoadReport, makeReport, renderReport } from './report.ts'

const ownTag = 'flatline-load'

const usage = () => `usage: flatline load --target URL [options]

sends heartbeats to checks that it creates and deletes; they have no channels, so nobody is alerted

${describeOptions(loadOptions)}
exit status  0 as it should be · 1 a threshold was exceeded, or an accepted heartbeat is missing · 2 wrong usage
             3 the service cannot be reached · 130 interrupted: the report is printed, the checks are deleted
`

/** Returns the exit status. The signal ends the load, not the report and the clean-up. */
export async function load(args: readonly string[], signal: AbortSignal, output: Output): Promise<number> {
  const { values, positionals } = parseOptions('load', args, loadOptions)
  if (values.help || positionals.length > 0) {
    output.out(usage())
    return values.help ? 0 : 2
  }
  const plan = readPlan(values)
  const server = openTarget(values, (text) => output.err(`${text}\n`))
  if (values.clean_up) {
    output.err(`deleted ${await deleteChecks(server, ownTag)} checks\n`)
    return 0
  }
  const report = await run(plan, server, signal, (text) => output.err(`load: ${text}\n`))
  output.out(values.json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report))
  if (signal.aborted) return 130
  return report.problems.length === 0 ? 0 : 1
}

async function run(
  plan: LoadPlan,
  server: Server,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<LoadReport> {
  const tag = `${ownTag}-${randomBytes(4).toString('hex')}`
  const names = Array.from({ length: plan.checks }, (_, index) => `${tag}-${index}`)
  let report: LoadReport | undefined
  try {
    const uuids = await createChecks(server, { names, tags: `${ownTag} ${tag}` })
    say(`${plan.rate} heartbeats a second for ${plan.durationMs / 1000} s; Ctrl-C ends it with the report`)
    const result = await generateLoad(
      plan,
      uuids.map((uuid) => `${server.url}/ping/${uuid}`),
      signal,
    )
    const found = await countFound(server, tag, result.accepted, plan.settleMs).catch(() => null)
    report = makeReport(server.url, plan, result, { found, interrupted: signal.aborted })
    return report
  } finally {
    await deleteChecks(server, tag).catch((error: Error) => {
      const problem = `its checks are not deleted (${error.message}): flatline load --clean-up does that later`
      say(problem)
      report?.problems.push(problem)
    })
  }
}

/** What was spooled arrives later, therefore this asks until all are there or the time is over. */
async function countFound(server: Server, tag: string, accepted: number, settleMs: number): Promise<number> {
  const giveUp = performance.now() + settleMs
  for (;;) {
    const found = (await readChecks(server, tag)).reduce((sum, { pings }) => sum + pings, 0)
    if (found >= accepted || performance.now() > giveUp) return found
    await sleep(500)
  }
}

/** The first Ctrl-C ends the load; the second ends the process. */
export async function runLoad(args: readonly string[]): Promise<void> {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  process.exitCode = await load(args, stop.signal, processOutput())
}
