// Log files with rotation: a pino transport, which runs in its own thread. The process waits for it when it ends,
// however it ends. The file without a number is always the newest; older ones have a number appended.

import { basename, dirname } from 'node:path'
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { destination } from 'pino'
import { createStream } from 'rotating-file-stream'

/** Without `file` lines go to standard output; `errorFile` also gets the lines of level error and fatal. */
export type LogFiles = { file?: string; errorFile?: string; rotateBytes: number; rotateKeep: number; mode: number }

type Sink = { write(text: string): void; end(): Promise<void> }

/** A disk that is full for a while must not end logging for good. */
const reopenAfterMs = 5000
const severe = /^\{"level":"(?:error|fatal)"/

/** @public Pino loads this file by its path. */
export default function createLogFiles(options: LogFiles): Writable {
  const { file, errorFile } = options
  const all = file === undefined ? createStdoutSink() : createFileSink(file, options)
  const errors = errorFile === undefined ? null : createFileSink(errorFile, options)
  let rest = ''
  return new Writable({
    decodeStrings: false,
    write(chunk: Buffer | string, _encoding, done) {
      const text = rest + chunk
      const end = text.lastIndexOf('\n') + 1
      rest = text.slice(end)
      const lines = text.slice(0, end)
      all.write(lines)
      if (errors) for (const line of lines.split('\n')) if (severe.test(line)) errors.write(`${line}\n`)
      done()
    },
    final(done) {
      Promise.all([all.end(), errors?.end()]).then(() => done(), done)
    },
  })
}

function createStdoutSink(): Sink {
  // A thread's own process.stdout goes through the main thread, which may be about to exit.
  const stdout = destination({ dest: 1, sync: true })
  return { write: (text) => void stdout.write(text), end: async () => stdout.flushSync() }
}

function createFileSink(path: string, { rotateBytes, rotateKeep, mode }: LogFiles): Sink {
  const open = () => {
    const stream = createStream(basename(path), {
      path: dirname(path),
      size: `${rotateBytes}B`,
      rotate: rotateKeep,
      mode,
    })
    stream.on('error', (error) => {
      if (!failedAt) process.stderr.write(`${path} cannot be written: ${error.message}\n`)
      failedAt = Date.now()
    })
    return stream
  }
  let failedAt = 0
  let stream = open()
  return {
    write(text) {
      if (failedAt > 0) {
        if (Date.now() - failedAt < reopenAfterMs) return
        failedAt = 0
        stream = open()
      }
      stream.write(text)
    },
    async end() {
      stream.end()
      await finished(stream).catch(() => undefined)
    },
  }
}
