import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { DeliveryError, refusal } from '../../src/channels/wire/transport.ts'
import { type AttemptResult, decide } from '../../src/notifications/attempts/outcome.ts'

const policy = { baseMs: 1000, maxMs: 60_000, forMs: 3_600_000, suspectMs: 600_000 }
const now = 10_000_000
const fresh = { attempts: 1, createdAt: now }
const failed = (options: ConstructorParameters<typeof DeliveryError>[1]): AttemptResult => ({
  kind: 'failed',
  error: new DeliveryError('answered 500 Internal Server Error', options),
})

suite('the outcome of an attempt', () => {
  test('a success ends the delivery without an error', () => {
    const outcome = { status: 'sent', nextAttemptAt: null, detail: null, disable: null, suppression: null }
    assert.deepEqual(decide({ kind: 'sent' }, fresh, policy, now, 0), outcome)
  })

  test('pauses double from half to the whole of the base, up to the longest', () => {
    const pause = (attempts: number, random: number) =>
      (decide(failed({ retryable: true }), { ...fresh, attempts }, policy, now, random).nextAttemptAt ?? 0) - now
    assert.deepEqual(
      [pause(1, 0), pause(1, 1), pause(2, 1), pause(4, 1), pause(40, 1)],
      [500, 1000, 2000, 8000, 60_000],
    )
  })

  test('a destination that asks for a pause gets it, up to the longest pause', () => {
    const pause = (retryAfterMs: number) =>
      (decide(failed({ retryable: true, retryAfterMs }), fresh, policy, now, 0).nextAttemptAt ?? 0) - now
    assert.deepEqual([pause(10), pause(30_000), pause(86_400_000)], [500, 30_000, 60_000])
  })

  test('a delivery whose next attempt would be too late is dead', () => {
    const at = (age: number) =>
      decide(failed({ retryable: true }), { attempts: 1, createdAt: now - age }, policy, now, 0)
    assert.equal(at(3_599_500).status, 'retrying')
    const { status, detail, nextAttemptAt } = at(3_599_501)
    assert.deepEqual([status, detail, nextAttemptAt], ['dead', 'answered 500 Internal Server Error', null])
  })

  test('an error that is not retried is dead, and only a permanent one switches the channel off', () => {
    assert.deepEqual(decide(failed({ retryable: false }), fresh, policy, now, 0).disable, null)
    const { status, disable } = decide(failed({ retryable: false, permanent: true }), fresh, policy, now, 0)
    assert.deepEqual([status, disable], ['dead', 'answered 500 Internal Server Error'])
  })

  test('an interrupted attempt is free at once for another replica', () => {
    const { status, nextAttemptAt } = decide({ kind: 'interrupted', by: 'shutdown' }, fresh, policy, now, 0)
    assert.deepEqual([status, nextAttemptAt], ['retrying', now])
  })
})

suite('a refusal', () => {
  const answer = (status: number, headers: Record<string, string> = {}) =>
    refusal({ status, headers, body: Buffer.from('secret') }, [410], now)

  test('the error of a refusal contains the status and nothing of the body', () => {
    assert.equal(answer(500).message, 'answered 500 Internal Server Error')
    assert.equal(answer(499).message, 'answered 499')
  })

  test('Retry-After of 429 and 503 is read in seconds and as a date', () => {
    assert.equal(answer(429, { 'retry-after': '120' }).retryAfterMs, 120_000)
    assert.equal(answer(503, { 'retry-after': new Date(now + 5000).toUTCString() }).retryAfterMs, 5000)
    assert.equal(answer(503, { 'retry-after': new Date(now - 5000).toUTCString() }).retryAfterMs, 0)
    assert.equal(answer(503, { 'retry-after': 'soon' }).retryAfterMs, undefined)
    assert.equal(answer(500, { 'retry-after': '120' }).retryAfterMs, undefined)
  })
})
