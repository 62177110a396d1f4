// A program on PATH that asks the test process for its answers: a shell starts in milliseconds, and the test can read
// the state, which is in its own process.

import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { scratchDir } from '../helper.ts'

/** What is said goes to standard output if `code` is 0, else to standard error. */
export type Said = { code: number; text: string | Buffer }
export const said = (text: string | Buffer = ''): Said => ({ code: 0, text })
export const failed = (text = ''): Said => ({ code: 1, text })

/** With the value of `variable` before them, the arguments of one call. */
type Answer = (args: string[], variable: string) => Said | Promise<Said>

/**
 * Puts `program` into a directory for PATH. `first` is a line of the shell, run before anybody is asked; `variable` is one of the
 * environment that the program would look at.
 */
export async function standIn(
  t: TestContext,
  {
    program,
    answer,
    first = '',
    variable = 'PATH',
  }: { program: string; answer: Answer; first?: string; variable?: string },
): Promise<string> {
  const server = createServer((socket) => void serve(socket, answer))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const dir = join(await scratchDir(t), 'bin')
  await mkdir(dir)
  const text = `#!/bin/bash
${first}
exec 3<> /dev/tcp/127.0.0.1/${port}
printf '%s\\0' "$#" "\${${variable}:-}" "$@" >&3
read -r code <&3
if [ "$code" = 0 ]; then cat <&3; else cat <&3 >&2; fi
exit "$code"
`
  await writeFile(join(dir, program), text)
  await chmod(join(dir, program), 0o755)
  return dir
}

/** The number of arguments, the variable and the arguments, each ended by a zero byte. */
async function serve(socket: Socket, answer: Answer): Promise<void> {
  socket.on('error', () => undefined)
  let request = ''
  for await (const chunk of socket.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    request += chunk
    const [count = '', variable = '', ...args] = request.split('\0')
    if (args.length <= Number(count) || count === '') continue
    const { code, text } = await answer(args.slice(0, -1), variable)
    socket.write(`${code}\n`)
    socket.end(text)
    return
  }
}
