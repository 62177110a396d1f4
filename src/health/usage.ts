// What this process uses, as the kernel says. All calls are asynchronous: a probe must not wait for a disk that hangs,
// and block the event loop meanwhile.

import { readdir, readFile, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Threads and open files of this process; null where the kernel does not say. */
export async function processCounts(root = '/'): Promise<{ threads: number | null; openFiles: number | null }> {
  const [status, files] = await Promise.all([
    readFile(join(root, 'proc/self/status'), 'utf8').catch(() => ''),
    readdir(join(root, 'proc/self/fd')).catch(() => null),
  ])
  const threads = /^Threads:\s+(\d+)$/m.exec(status)?.[1]
  return { threads: threads === undefined ? null : Number(threads), openFiles: files?.length ?? null }
}

/**
 * The disk that holds `directory`, or would hold it once it exists, counted as `df` does: space reserved for root is
 * neither free nor part of the whole. Rejects if nothing can be read.
 */
export async function diskUsage(directory: string): Promise<{ usedBytes: number; totalBytes: number }> {
  try {
    const { blocks, bfree, bavail, bsize } = await statfs(directory)
    const used = blocks - bfree
    return { usedBytes: used * bsize, totalBytes: (used + bavail) * bsize }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(directory) === directory) throw error
    return diskUsage(dirname(directory))
  }
}
