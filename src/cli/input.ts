// The input of commands: files, pipes and answers, each up to a limit. Longer input is refused before it is held in
// memory; input that is not UTF-8 is refused, too.

import { closeSync, openSync, readSync } from 'node:fs'
import { CommandError } from './errors.ts'

export const inputMaxBytes = {
  /** A key or a secret. */
  key: 64 * 1024,
  /** What the service accepts in one request. */
  definitions: 8 * 2 ** 20,
  /** `manage.py dumpdata` of a Healthchecks server. */
  dump: 128 * 2 ** 20,
  /** The answer of a server: all checks of a project. */
  answer: 256 * 2 ** 20,
} as const

const chunkBytes = 64 * 1024

/** The whole content of a file, or of standard input for `-`. Also reads pipes and devices, which report no size. */
export function readInput(file: string, maxBytes: number): string {
  return decode(file, readBytes(file, maxBytes))
}

/** The text of an answer. */
export async function readAnswer(url: string, response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > inputMaxBytes.answer) throw tooLong(`the answer of ${url}`, inputMaxBytes.answer)
    chunks.push(chunk)
  }
  return decode(`the answer of ${url}`, Buffer.concat(chunks))
}

function readBytes(file: string, maxBytes: number): Buffer {
  const chunks: Buffer[] = []
  let length = 0
  let descriptor: number | undefined
  try {
    descriptor = file === '-' ? 0 : openSync(file, 'r')
    for (;;) {
      const chunk = Buffer.allocUnsafe(chunkBytes)
      const read = readChunk(descriptor, chunk)
      if (read === 0) return Buffer.concat(chunks)
      length += read
      if (length > maxBytes) throw tooLong(file, maxBytes)
      chunks.push(chunk.subarray(0, read))
    }
  } catch (error) {
    throw error instanceof CommandError ? error : new CommandError(`cannot read ${file}: ${(error as Error).message}`)
  } finally {
    if (descriptor !== undefined && descriptor !== 0) closeSync(descriptor)
  }
}

/** An empty pipe answers EAGAIN if its other end made it non-blocking; on Windows the end of a file is an error. */
function readChunk(descriptor: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(descriptor, chunk)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EOF') return 0
      if (code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

function decode(what: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new CommandError(`${what} is not UTF-8: save it in that encoding`)
  }
}

function tooLong(what: string, maxBytes: number): CommandError {
  const limit = maxBytes >= 2 ** 20 ? `${maxBytes / 2 ** 20} MB` : `${maxBytes / 1024} kB`
  return new CommandError(`${what} is longer than ${limit}`)
}
