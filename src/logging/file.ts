// Log files with rotation, and standard output beside them: a pino transport, which runs in its own thread. The process
// waits for it when it ends, however it ends. The file without a number is always the newest; older ones have a number appended.

import { basename, dirname } from 'node:path'
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { destination } from 'pino'
import { createStream } from 'rotating-file-stream'
import { createPrettyFormat } from './pretty.ts'

/** `errorFile` gets the lines of level error and fatal; files are always JSON. */
export type LogFiles = {
  stdout: 'json' | 'pretty' | 'none'
  file?: string
  errorFile?: string
  rotateBytes: number
  rotateKeep: number
  mode: number
}

type Sink = { write(text: string): void; end(): Promise<void> }

/** A disk that is full for a while must not end logging for good. */
const reopenAfterMs = 5000
const severe = /^\{"level":"(?:error|fatal)"/

/** @public Pino loads this file by its path. */
export default async function createLogFiles(options: LogFiles): Promise<Writable> {
  const { stdout, file, errorFile } = options
  const all: Sink[] = []
  if (stdout !== 'none') all.push(await createStdoutSink(stdout === 'pretty'))
  if (file !== undefined) all.push(createFileSink(file, options))
  const errors = errorFile === undefined ? null : createFileSink(errorFile, options)
  let rest = ''
  return new Writable({
    decodeStrings: false,
    write(chunk: Buffer | string, _encoding, done) {
      const text = rest + chunk
      const end = text.lastIndexOf('\n') + 1
      rest = text.slice(end)
      const lines = text.slice(0, end)
      for (const sink of all) sink.write(lines)
      if (errors) for (const line of lines.split('\n')) if (severe.test(line)) errors.write(`${line}\n`)
      done()
    },
    final(done) {
      Promise.all([...all, errors].map((sink) => sink?.end())).then(() => done(), done)
    },
  })
}

async function createStdoutSink(isPretty: boolean): Promise<Sink> {
  // A thread's own process.stdout goes through the main thread, which may be about to exit.
  const stdout = destination({ dest: 1, sync: true })
  // A reader that went away must not end the files.
  stdout.on('error', () => undefined)
  const format = isPretty ? await createPrettyFormat() : (lines: string) => lines
  return { write: (lines) => void stdout.write(format(lines)), end: async () => stdout.flushSync() }
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
