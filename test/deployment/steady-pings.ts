// A client process: sends heartbeats to an address over a few open connections until it gets SIGTERM, and then prints
// the answers that it got.   node steady-pings.ts URL

import { Agent, get } from 'node:http'
import { pause } from '../patience.ts'

const [url = ''] = process.argv.slice(2)
const connections = 8
const pauseMs = 20

const agent = new Agent({ keepAlive: true, maxSockets: connections })
/** By status or by code of the error. */
const counts: Record<string, number> = {}
let stopped = false
process.once('SIGTERM', () => {
  stopped = true
})

function send(): Promise<string> {
  return new Promise((resolve) => {
    get(url, { agent }, (response) => response.resume().on('end', () => resolve(String(response.statusCode)))).on(
      'error',
      (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message),
    )
  })
}

async function sendAll(): Promise<void> {
  while (!stopped) {
    const outcome = await send()
    counts[outcome] = (counts[outcome] ?? 0) + 1
    await pause(pauseMs)
  }
}

await Promise.all(Array.from({ length: connections }, sendAll))
agent.destroy()
process.stdout.write(`${JSON.stringify(counts)}\n`)
