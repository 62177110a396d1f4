import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, eventually } from '../../helper.ts'
import { patience } from '../../patience.ts'

function busy(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test('under lasting overload management calls are shed, but heartbeats, probes and metrics answer', async (t) => {
  const { call } = await build(t, { FLATLINE__LIMITS__MAX_EVENT_LOOP_DELAY_MS: '50' })
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const load = setInterval(() => busy(120), 130)
  t.after(() => clearInterval(load))
  const shed = await eventually('a call to be shed', async () => {
    const answer = await call('GET', '/api/v3/checks/')
    return answer.status === 503 && answer
  })
  assert.deepEqual(shed.json(), { error: 'Flatline is overloaded, try again shortly' })
  assert.equal(shed.headers.get('retry-after'), '10')
  for (const path of [`/ping/${uuid}`, '/health/live', '/health/ready', '/health', '/metrics']) {
    assert.equal((await call('GET', path, undefined, {})).status, 200, path)
  }
  clearInterval(load)
  await eventually('calls to be answered again', async () => (await call('GET', '/api/v3/checks/')).status === 200)
})

test('one bad sample, for example after a pause of the machine, sheds nothing', async (t) => {
  const { call } = await build(t, { FLATLINE__LIMITS__MAX_EVENT_LOOP_DELAY_MS: String(patience(20)) })
  busy(1500)
  // Until the next sample may have been taken.
  const began = performance.now()
  for (let n = 0; n < 50; n++) {
    const { status } = await call('GET', '/api/v3/checks/')
    if (performance.now() - began > 900) return
    assert.equal(status, 200)
  }
})
