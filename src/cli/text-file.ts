// Files that people write, read whole.

import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { CommandError } from './server.ts'

/** The text of a file, or of the standard input (`-`), without a byte order mark. Throws CommandError, naming the file. */
export function readTextFile(file: string): string {
  const bytes = readBytes(file)
  if (!isUtf8(bytes)) throw new CommandError(`${file} is not UTF-8: save it in that encoding`)
  return bytes.toString('utf8').replace(/^\uFEFF/, '')
}

function readBytes(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${(error as Error).message}`)
  }
}
