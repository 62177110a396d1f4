// A file system of its own for a directory, small enough to be filled.

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Scope } from './scope.ts'

const run = promisify(execFile)

export async function mountSmallDisk(scope: Scope, dir: string, bytes: number): Promise<void> {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'none', dir])
  scope.after(() => run('umount', ['--lazy', dir]))
}

/** For the skip of a test: only root may mount, and not in every container. In CI that is a failure. */
export async function needsMount(): Promise<string | false> {
  const dir = await mkdtemp(join(tmpdir(), 'flatline-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', dir])
    await run('umount', [dir])
    return false
  } catch (error) {
    if (process.env.CI) throw error
    return 'a file system cannot be mounted here: run the tests as root'
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
