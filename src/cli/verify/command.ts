// `flatline verify`: whether a deployed service really works, tried with checks of its own that go again.

import { randomBytes } from 'node:crypto'
import { loadConfig } from '../../config/load.ts'
import { describeOptions, type GivenValues, type Options, parseOptions } from '../arguments/options.ts'
import { findChannel } from '../resources/find.ts'
import { type Output, processOutput } from '../resources/print.ts'
import { keyFromFile, localUrl, type Server } from '../server.ts'
import { deleteChecks, openTarget, targetOptions } from '../target/target.ts'
import { alert } from './alert.ts'
import { create, metrics, type OwnChecks, ownTag, readBack, readiness, type Verification, write } from './steps.ts'

const options: Options = {
  ...targetOptions,
  target: { kind: 'text', about: 'address of the service (default: the process on this machine)' },
  timeout: { kind: 'milliseconds', about: 'for what happens by itself, such as sending an alert (default 30s)' },
  'metrics-url': { kind: 'text', about: 'where the metrics are (default: /metrics of the target)' },
  'metrics-token-file': { kind: 'text', about: 'reads their token from a file (default: METRICS_TOKEN)' },
  channel: { kind: 'text', about: 'id or name of a channel that gets a test message, too' },
  skip: { kind: 'texts', choices: ['metrics', 'alert'], about: 'steps to leave out' },
  'dry-run': { kind: 'flag', about: 'say what would be done, and do nothing' },
  'clean-up': { kind: 'flag', about: 'only delete what a killed run has left behind' },
}

const plan = {
  ready: 'the service answers that it is ready',
  create: 'two checks are created',
  write: 'a heartbeat is written',
  read: 'it is read back, with its body',
  metrics: 'the metrics are scraped, and the counter of heartbeats has moved',
  alert: 'the check fails, and its alert goes through once',
  'clean up': 'checks and channel are deleted',
} as const

type TriedStep = { step: keyof typeof plan; status: 'passed' | 'failed' | 'skipped'; ms: number; detail: string }

const usage = () => `usage: flatline verify [options]

${Object.entries(plan)
  .map(([name, what]) => `  ${name.padEnd(9)} ${what}\n`)
  .join('')}
${describeOptions(options)}
exit status  0 every step has passed · 1 a step has failed · 2 wrong usage · 130 interrupted, cleaned up
`

/** Returns the exit status. The signal ends the step that runs, not the clean-up. */
export async function verify(args: readonly string[], signal: AbortSignal, output: Output): Promise<number> {
  const { values, positionals } = parseOptions('verify', args, options)
  if (values.help || positionals.length > 0) {
    output.out(usage())
    return values.help ? 0 : 2
  }
  if (values.dry_run) {
    for (const [name, what] of Object.entries(plan)) output.out(`would check ${name.padEnd(9)} ${what}\n`)
    return 0
  }
  const run = await prepare(values, signal, (text) => output.err(`${text}\n`))
  if (values.clean_up) {
    output.err(`${await deleteLeftovers(run.server)}\n`)
    return 0
  }
  const steps = await runSteps(run, (values.skip ?? []) as string[], (step) => {
    if (!values.json) output.out(lineOf(step))
  })
  const passed = steps.every(({ status }) => status !== 'failed')
  const report = { target: run.server.url, passed, interrupted: signal.aborted, steps }
  if (values.json) output.out(`${JSON.stringify(report, null, 2)}\n`)
  if (signal.aborted) return 130
  return passed ? 0 : 1
}

const lineOf = ({ step, status, ms, detail }: TriedStep) =>
  `${status.padEnd(7)} ${step.padEnd(9)} ${`${(ms / 1000).toFixed(2)} s`.padStart(8)}  ${detail}\n`

async function prepare(values: GivenValues, signal: AbortSignal, warn: (text: string) => void): Promise<Verification> {
  const server = openTarget({ ...values, target: values.target ?? localUrl() }, warn)
  return {
    server,
    tag: `${ownTag}-${randomBytes(4).toString('hex')}`,
    timeoutMs: Math.min(600_000, (values.timeout as number | undefined) ?? 30_000),
    metricsUrl: (values.metrics_url as string | undefined) ?? `${server.url}/metrics`,
    metricsToken: tokenOf(values),
    channel: values.channel === undefined ? undefined : await findChannel(server, String(values.channel)),
    signal,
  }
}

function tokenOf({ metrics_token_file: file, skip }: GivenValues): string | undefined {
  if ((skip as string[] | undefined)?.includes('metrics')) return undefined
  return keyFromFile(file as string | undefined) ?? loadConfig().security.metricsToken
}

/** After a failure of the first four the others make no sense; the last one always runs. */
async function runSteps(
  run: Verification,
  skip: readonly string[],
  report: (step: TriedStep) => void,
): Promise<TriedStep[]> {
  const steps: TriedStep[] = []
  const made: { channel?: string } = {}
  let own: OwnChecks | undefined
  let isBroken = false
  async function attempt(step: TriedStep['step'], work: () => Promise<string>): Promise<void> {
    const began = performance.now()
    const end = (status: TriedStep['status'], detail: string) => {
      const done = { step, status, ms: Math.round(performance.now() - began), detail }
      steps.push(done)
      report(done)
    }
    if (skip.includes(step)) return end('skipped', 'as --skip says')
    if (step !== 'clean up' && (isBroken || run.signal.aborted))
      return end('skipped', 'because of what happened before')
    try {
      end('passed', await work())
    } catch (error) {
      isBroken ||= !['metrics', 'alert'].includes(step)
      end('failed', (error as Error).message)
    }
  }
  let isCreating = false
  const created = () => own as OwnChecks
  await attempt('ready', () => readiness(run))
  await attempt('create', async () => {
    isCreating = true
    own = await create(run)
    return 'two checks'
  })
  await attempt('write', () => write(run, created()))
  await attempt('read', () => readBack(run, created()))
  await attempt('metrics', () => metrics(run, created()))
  await attempt('alert', () => alert(run, created(), made))
  await attempt('clean up', async () => (isCreating ? cleanUp(run, made) : 'nothing was created'))
  return steps
}

async function cleanUp({ server, tag }: Verification, { channel }: { channel?: string }): Promise<string> {
  const deleted = await deleteChecks(server, tag)
  if (channel !== undefined) await server.call('DELETE', `/api/v3/channels/${channel}/`)
  return `${deleted} checks${channel === undefined ? '' : ' and 1 channel'} deleted`
}

async function deleteLeftovers(server: Server): Promise<string> {
  const { channels } = (await server.get('/api/v3/channels/')) as { channels: { id: string; name: string }[] }
  const left = channels.filter(({ name }) => name.startsWith(`${ownTag}-`))
  for (const { id } of left) await server.call('DELETE', `/api/v3/channels/${id}/`)
  return `deleted ${await deleteChecks(server, ownTag)} checks and ${left.length} channels`
}

/** The first Ctrl-C ends the step that runs and cleans up; the second ends the process. */
export async function runVerify(args: readonly string[]): Promise<void> {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error('interrupted')))
  process.exitCode = await verify(args, stop.signal, processOutput())
}
