// The command line as a user calls it, in a process of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { inherited } from '../tools.ts'

export type Ended = { code: number | null; out: Buffer; err: string }

const root = new URL('../..', import.meta.url).pathname

/** Starts a program with this environment and what processes inherit here; killed with the test if it has not ended. */
export function start(
  t: Pick<TestContext, 'after'>,
  [program, ...args]: [program: string, ...args: string[]],
  env: Record<string, string> = {},
  cwd = root,
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(program, args, { cwd, stdio: 'pipe', env: { ...inherited, ...env } })
  const out: Buffer[] = []
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk
  })
  child.stdin.on('error', () => undefined)
  const ended = once(child, 'close').then(([code]): Ended => ({ code, out: Buffer.concat(out), err }))
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  return { child, ended }
}

/** Runs a program to its end, with `input` on its standard input. */
export async function run(
  t: Pick<TestContext, 'after'>,
  command: [program: string, ...args: string[]],
  env: Record<string, string> = {},
  input: Buffer | string = '',
  cwd?: string,
): Promise<Ended> {
  const { child, ended } = start(t, command, env, cwd)
  child.stdin?.end(input)
  return ended
}

export const flatline = (...args: string[]): [string, ...string[]] => [process.execPath, 'src/cli.ts', ...args]
