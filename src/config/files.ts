// Files that the configuration is read from. Any of them may be a wrong path, as of a disk image, a device or a pipe that never ends.

import { closeSync, openSync, readSync } from 'node:fs'

/** No key, token or certificate is as long. */
export const secretMaxBytes = 64 * 1024
/** All settings there are, commented, are a hundredth of it. */
export const profileMaxBytes = 1024 * 1024

/** Why a file was not read: more than may be, or the system's code. */
export type Unread = { problem: string }

/** A whole file as text. No more than `maxBytes` are ever held, also of what has no size to ask for. */
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
