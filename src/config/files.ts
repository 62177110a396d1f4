// Files from which the configuration is read. The path may be wrong and name a disk image, a device or a pipe that
// never ends.

import { closeSync, openSync, readSync } from 'node:fs'

/** No key, token or certificate is that long. */
export const secretMaxBytes = 64 * 1024
/** A hundred times the size of all settings with comments. */
export const profileMaxBytes = 1024 * 1024

/** Why a file was not read: it is too long, or the system's error code. */
export type Unread = { problem: string }

/** Reads a whole file as text. Never holds more than `maxBytes` in memory, even for files that report no size. */
export function readConfigFile(path: string, maxBytes: number): string | Unread {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const buffer = Buffer.allocUnsafe(maxBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length <= maxBytes; length += read)
      read = readSync(file, buffer, length, buffer.length - length, null)
    if (length > maxBytes) return { problem: `is longer than ${maxBytes / 1024} KB` }
    return buffer.toString('utf8', 0, length)
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code})` }
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
