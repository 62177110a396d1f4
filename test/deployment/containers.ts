// Container tools, run for real. What they store lies below a temporary directory and goes with it.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { needsTool } from '../tools.ts'

const execute = promisify(execFile)

type Options = { cwd?: string; env?: Record<string, string>; timeoutMs?: number }

/** Runs a program to its end and resolves with what it wrote to standard output; rejects with everything it wrote. */
export async function run(program: string, args: readonly string[], options: Options = {}): Promise<string> {
  const { cwd, env = {}, timeoutMs = 240_000 } = options
  try {
    const { stdout } = await execute(program, args, {
      cwd,
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
    })
    return stdout
  } catch (error) {
    const { message, stdout = '', stderr = '' } = error as Error & { stdout?: string; stderr?: string }
    throw new Error(
      `${program} ${args[0]} failed: ${message.split('\n')[0]}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`,
    )
  }
}

/** For `skip` of a test: building and running images takes these tools, and root, because nothing else can mount. */
export function needsContainers(...tools: string[]): string | false {
  const missing = tools.map(needsTool).find((reason) => reason !== false)
  if (missing) return missing
  if (process.getuid?.() === 0) return false
  if (process.env.CI) throw new Error('containers can only be run as root: so must .ci/run')
  return 'containers can only be run as root'
}

/** Unmounts everything below a directory, the deepest first, so that it can be removed. */
export async function unmountBelow(directory: string): Promise<void> {
  const mounted = (await run('cat', ['/proc/mounts']))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${directory}/`))
    .sort((a, b) => b.length - a.length)
  for (const path of mounted) await run('umount', ['-l', path]).catch(() => undefined)
}
