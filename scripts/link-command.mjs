// Puts this checkout's `flatline` beside the commands of its dependencies. npx then runs it with the Node.js that is there; otherwise it
// would install the checkout into its cache at each call, and warn of the machine's own Node.js, which runs nothing of it.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const commands = new URL('../node_modules/.bin/', import.meta.url)
const command = new URL('flatline', commands)

mkdirSync(commands, { recursive: true })
if (process.platform === 'win32') {
  writeFileSync(fileURLToPath(`${command}.cmd`), '@node "%~dp0\\..\\..\\bin\\flatline.js" %*\r\n')
} else {
  rmSync(command, { force: true })
  symlinkSync('../../bin/flatline.js', command)
}
