// Writes files that are always complete under their own name and readable only by their owner.

import { constants, createWriteStream, existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { copyFile, link, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const taken = (file: string) => new Error(`${file} exists already: name a new file`)

/**
 * Replaces an existing file, and with it its permissions. A path that is not a regular file, such as /dev/stdout, is
 * written directly.
 */
export function replaceFile(file: string, text: string): void {
  const there = statSync(file, { throwIfNoEntry: false })
  if (there !== undefined && !there.isFile()) {
    writeFileSync(file, text)
    return
  }
  const draft = `${file}.${process.pid}.partial`
  try {
    writeFileSync(draft, text, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(draft, file)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Called before the work is done; a file that appears later is not replaced either. */
export function requireNewName(file: string): void {
  if (existsSync(file)) throw taken(file)
}

/** Never replaces an existing file. */
export async function writeNewFile(
  file: string,
  [source, transform]: [AsyncIterable<Buffer>, Transform],
  signal: AbortSignal,
): Promise<void> {
  const draft = `${file}.${process.pid}.partial`
  const output = createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true })
  try {
    await pipeline(source, transform, output, { signal })
    await giveName(draft, file)
  } finally {
    await unlink(draft).catch(() => undefined)
  }
  await syncDirectory(dirname(file))
}

/** Unlike a rename, a link does not replace an existing file. */
async function giveName(draft: string, file: string): Promise<void> {
  try {
    await link(draft, file)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'EEXIST') throw taken(file)
    // File systems without links: exFAT, some network shares.
    await copyFile(draft, file, constants.COPYFILE_EXCL)
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => undefined)
  await directory?.sync().catch(() => undefined)
  await directory?.close()
}
