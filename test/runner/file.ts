// Runs one test file in a process of its own. If it exceeds its time limit, or does not exit after its tests, it is
// killed with everything that it started. Nothing that it started may outlive it.

import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { endLeftovers, findLeftovers, gone, type Owner } from './leftovers.ts'
import type { Limits } from './limits.ts'
import type { Ended, Event } from './report.ts'

export type Start = {
  file: string
  root: string
  dir: string
  env: NodeJS.ProcessEnv
  args: readonly string[]
  limits: Limits
}

export async function runFile({ file, root, dir, env, args, limits }: Start, stop: AbortSignal): Promise<Ended> {
  const reporter = ['--test-reporter=./test/runner/reporter.ts', '--test-reporter-destination=stdout']
  const child = spawn(process.execPath, [...reporter, `--test-timeout=${limits.testMs}`, ...args, file], {
    cwd: root,
    env: { ...env, TMPDIR: dir },
    // A group of its own, which can be killed whole.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
  })
  const events: Event[] = []
  const say = (type: string) => (message: string) => void events.push({ type, data: { file, message } })
  child.stdout?.setEncoding('utf8').on('data', say('test:stdout'))
  child.stderr?.setEncoding('utf8').on('data', say('test:stderr'))
  child.on('message', (event) => void events.push(event as Event))
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  // The channel is at its end when every event has been read; the streams may be held open by what the file has left.
  const exited = Promise.all([
    new Promise<number | NodeJS.Signals>((resolve) => {
      child.once('error', () => resolve('SIGABRT')).once('exit', (code, signal) => resolve(code ?? signal ?? 1))
    }),
    new Promise<void>((resolve) => child.once('disconnect', () => resolve())),
  ]).then(([code]) => code)
  const over = new AbortController()
  const late = whatIsLate(() => events, limits, AbortSignal.any([over.signal, stop]))
  const ending = await Promise.race([exited, late])
  over.abort()
  const owner: Owner = { group: child.pid ?? 0, dir }
  const problem = await verdict(ending, events, owner, limits)
  await endLeftovers(owner, problem === undefined ? 0 : 2000)
  await Promise.race([closed, sleep(1000, undefined, { ref: false })])
  return { events, ...(problem !== undefined && { problem: problem + lastWords(events) }) }
}

type Late = { late: string }

/** Resolves when the file has used up its time, or has been idle for too long after its last test. */
async function whatIsLate(events: () => Event[], { fileMs, exitMs }: Limits, stop: AbortSignal): Promise<Late> {
  const began = performance.now()
  let idleSince: number | undefined
  for (;;) {
    try {
      await sleep(250, undefined, { signal: stop })
    } catch {
      return { late: 'was stopped' }
    }
    const now = performance.now()
    const running = unfinished(events())
    if (now - began > fileMs) {
      return { late: `was killed after ${seconds(fileMs)}, in: ${running.join(', ') || 'no test'}` }
    }
    const isIdle = running.length === 0 && events().some(({ type }) => type === 'test:complete')
    idleSince = isIdle ? (idleSince ?? now) : undefined
    if (idleSince !== undefined && now - idleSince > exitMs) {
      return { late: `did not end within ${seconds(exitMs)} of its last test: something is still open` }
    }
  }
}

/** The names of the tests at the top of the file that have not ended. */
function unfinished(events: readonly Event[]): string[] {
  const names: string[] = []
  for (const { type, data } of events) {
    if (data.nesting !== 0) continue
    if (type === 'test:enqueue') names.push(String(data.name))
    if (type === 'test:complete') names.splice(names.indexOf(String(data.name)), 1)
  }
  return names
}

async function verdict(
  ending: number | NodeJS.Signals | Late,
  events: readonly Event[],
  owner: Owner,
  { exitMs }: Limits,
): Promise<string | undefined> {
  if (typeof ending === 'object') return `the file ${ending.late}`
  const isReported = events.some(({ type }) => type === 'test:fail')
  if (typeof ending === 'string') return `the file was ended by ${ending}`
  if (!events.some(({ type }) => type === 'test:summary')) return `the file ended with ${ending} before its tests had`
  if (ending !== 0 && !isReported) return `the file ended with ${ending}`
  if (await gone(owner, exitMs)) return undefined
  const left = findLeftovers(owner).map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`)
  return `the file left running:\n${left.join('\n')}`
}

/** What the file wrote to standard error at the end: in a long report it would stand far from the failure that it explains. */
function lastWords(events: readonly Event[]): string {
  const text = events.flatMap(({ type, data }) => (type === 'test:stderr' ? [data.message] : [])).join('')
  return text === '' ? '' : `\nThe end of its standard error:\n${text.trimEnd().slice(-2000)}`
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`
