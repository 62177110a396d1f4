import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLoop } from '../../src/kit/loop.ts'
import { eventually, within } from '../patience.ts'

const log = () => {
  const lines: string[] = []
  return { lines, error: () => void lines.push('error'), debug: () => void lines.push('debug') }
}

test('a stop waits for the step in progress, tells it so, and no step begins afterwards', async () => {
  let begun = 0
  let signal: AbortSignal | undefined
  let finish = () => {}
  const loop = createLoop({
    name: 'slow',
    intervalMs: 1,
    log: log(),
    step: async (given) => {
      begun++
      signal = given
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      return true
    },
  })
  loop.start()
  assert.equal(begun, 1)
  let stopped = false
  const stop = loop.stop().then(() => {
    stopped = true
  })
  loop.wake()
  await new Promise(setImmediate)
  assert.deepEqual([stopped, signal?.aborted], [false, true])
  finish()
  await within('the stop', stop)
  loop.wake()
  await new Promise(setImmediate)
  assert.equal(begun, 1)
})

test('a stop ends the pause of a loop at once', async () => {
  let steps = 0
  const loop = createLoop({ name: 'idle', intervalMs: 2 ** 30, log: log(), step: async () => void steps++ })
  loop.start()
  await eventually('the first step', () => steps === 1)
  await within('the stop', loop.stop())
  assert.equal(steps, 1)
})

test('steps never overlap, and one that fails is logged and tried again', async (t) => {
  const lines = log()
  let running = 0
  let most = 0
  let steps = 0
  const loop = createLoop({
    name: 'failing',
    intervalMs: 1,
    log: lines,
    step: async () => {
      most = Math.max(most, ++running)
      await new Promise(setImmediate)
      running--
      if (++steps === 1) throw new Error('planted')
      return true
    },
  })
  t.after(() => loop.stop())
  loop.start()
  await eventually('the next steps', () => {
    loop.wake()
    return steps > 3
  })
  assert.deepEqual([most, lines.lines], [1, ['error']])
})
