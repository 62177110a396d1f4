// What requests leave behind in this process. bench/memory.ts measures a process under load for longer.

import assert from 'node:assert/strict'
import { Agent, get } from 'node:http'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { build } from '../helper.ts'

const perRound = 1200
const clients = 60
/** Measured are about 100 bytes and less, and what a collection happens to leave. */
const keptMost = 300
const roundsMost = 4

test('heartbeats leave no memory behind', async (t) => {
  const { call, url } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  t.after(() => agent.destroy())
  const ping = () =>
    new Promise<void>((resolve, reject) => {
      get(`${url}/ping/${uuid}`, { agent }, (response) => response.resume().once('end', resolve)).once('error', reject)
    })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const round = async () => {
    await Promise.all(
      Array.from({ length: clients }, async () => {
        for (let n = 0; n < perRound / clients; n++) await ping()
      }),
    )
    collect()
    return process.memoryUsage().heapUsed
  }

  // Code is compiled and pools fill in the first two. What every request leaves would show in each of the others.
  await round()
  let before = await round()
  const grown: number[] = []
  do {
    const after = await round()
    grown.push(Math.round((after - before) / perRound))
    before = after
  } while ((grown.at(-1) ?? 0) > keptMost && grown.length < roundsMost)
  t.diagnostic(`bytes a heartbeat, by round: ${grown.join(', ')}`)
  assert.ok(Math.min(...grown) <= keptMost, `each heartbeat leaves ${grown.join(', ')} bytes`)
})
