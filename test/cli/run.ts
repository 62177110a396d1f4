// The command line as a user starts it.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { inherited } from '../tools.ts'

export type Outcome = { code: number | null; stdout: string; stderr: string }

const cli = join(import.meta.dirname, '../../src/cli.ts')

export function flatline(
  args: readonly string[],
  input: string | Buffer = '',
  env: Record<string, string> = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...args], { env: { ...inherited, ...env } })
    const outcome: Outcome = { code: null, stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (outcome.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (outcome.stderr += text))
    child.on('error', reject).on('close', (code) => resolve({ ...outcome, code }))
    child.stdin.on('error', () => {}).end(input)
  })
}
