// Real container tools. They store everything in a temporary directory, which is removed with them.

import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { patience } from '../patience.ts'
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
      timeout: patience(timeoutMs),
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
  const missing = tools.map((tool) => needsTool(tool)).find((reason) => reason !== false)
  if (missing) return missing
  if (process.getuid?.() === 0) return false
  if (process.env.CI) throw new Error('containers can only be run as root: so must .ci/run')
  return 'containers can only be run as root'
}

/**
 * A directory for what an engine stores. With the test go, in this order: what `stop` ends, processes that still name the
 * directory, mounts below it, and the directory.
 */
export async function engineDir(
  t: Pick<TestContext, 'after'>,
  stop: () => Promise<unknown> = async () => {},
): Promise<string> {
  // Short: podman takes no path of more than 50 characters.
  const directory = await mkdtemp(join(tmpdir(), 'e-'))
  t.after(async () => {
    await stop()
    await removeEngineDir(directory)
  })
  return directory
}

export async function removeEngineDir(directory: string): Promise<void> {
  for (const id of await processesNaming(directory)) process.kill(id, 'SIGKILL')
  const mounted = (await readFile('/proc/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${directory}/`))
  // The deepest first.
  for (const path of mounted.sort().reverse()) await run('umount', ['-l', path]).catch(() => undefined)
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}

async function processesNaming(directory: string): Promise<number[]> {
  const ids = (await readdir('/proc')).map(Number).filter((id) => id > 1 && id !== process.pid)
  const named = await Promise.all(
    ids.map(async (id) => (await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')).includes(`${directory}/`)),
  )
  return ids.filter((_, index) => named[index])
}
