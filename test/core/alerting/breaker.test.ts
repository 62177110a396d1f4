import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  admit,
  admitForced,
  type BreakerState,
  closedBreaker,
  onFailure,
  onRelease,
  onSuccess,
  reset,
  stateAt,
  trialLostAfterMs,
} from '../../../src/core/alerting/breaker.ts'

const policy = { failureThreshold: 5, recoveryMs: 60_000, successThreshold: 3 }

/** Calls one after the other: `S` and `F` end as they say, `R` is given up, a number lets so many seconds pass. */
function play(story: string): { state: BreakerState; now: number; refused: number } {
  let state = closedBreaker
  let now = 1000
  let refused = 0
  for (const [step] of story.matchAll(/[SFR]|[\d.]+/g)) {
    if (/\d/.test(step)) now += Number(step) * 1000
    else {
      const admission = admit(policy, state, now)
      state = admission.state
      const { epoch } = state
      if (!admission.admitted) refused++
      else if (step === 'S') state = onSuccess(policy, state, epoch)
      else if (step === 'F') state = onFailure(policy, state, epoch, now)
      else state = onRelease(state, epoch)
    }
  }
  return { state, now, refused }
}

suite('a circuit breaker', () => {
  for (const [story, phase, refused, what] of [
    ['FFFF', 'closed', 0, 'stays closed after four failures'],
    ['FFFFF', 'open', 0, 'opens at the fifth failure in a row'],
    ['FFFFSFFFF', 'closed', 0, 'starts to count again after a success'],
    ['FFFFRF', 'open', 0, 'takes a call that was given up for neither success nor failure'],
    ['FFFFF 59.9 S', 'open', 1, 'refuses until the recovery time has passed'],
    ['FFFFF 60 S', 'half_open', 0, 'tries once the recovery time has passed'],
    ['FFFFF 60 SS', 'half_open', 0, 'is still half open after two successes'],
    ['FFFFF 60 SSS', 'closed', 0, 'closes at the third success'],
    ['FFFFF 60 F', 'open', 0, 'opens again when the first trial fails'],
    ['FFFFF 60 SF', 'open', 0, 'opens again at one failure after a success'],
    ['FFFFF 60 SSF 59.9 S', 'open', 1, 'rests for a whole recovery time again'],
    ['FFFFF 60 F 60 SSS', 'closed', 0, 'closes after a second recovery'],
    ['FFFFF 60 SSS FFFF', 'closed', 0, 'counts from nothing once it was closed'],
    ['FFFFF 60 RRRRR SSS', 'closed', 0, 'is not used up by trials that were given up'],
  ] as const)
    test(what, () => {
      const { state, refused: seen } = play(story)
      assert.deepEqual([state.phase, seen], [phase, refused])
    })

  test('an open breaker counts as half open once its recovery time has passed, also without a call', () => {
    const { state, now } = play('FFFFF')
    assert.equal(stateAt(policy, state, now + 59_999), 'open')
    assert.equal(stateAt(policy, state, now + 60_000), 'half_open')
    assert.equal(state.phase, 'open')
  })

  test('a half-open breaker admits three simultaneous trials and refuses the rest', () => {
    let { state, now } = play('FFFFF 60')
    const admitted = Array.from({ length: 20 }, () => {
      const admission = admit(policy, state, now)
      state = admission.state
      return admission.admitted
    })
    assert.equal(admitted.filter(Boolean).length, 3)
    state = onRelease(state, state.epoch)
    assert.equal(admit(policy, state, now).admitted, true)
  })

  test('a breaker gives up trials without a result', () => {
    let { state, now } = play('FFFFF 60')
    for (let trial = 0; trial < 3; trial++) state = admit(policy, state, now).state
    assert.equal(admit(policy, state, now + trialLostAfterMs - 1).admitted, false)
    const late = admit(policy, state, now + trialLostAfterMs)
    assert.deepEqual([late.admitted, late.state.trials], [true, 1])
  })

  test('a result of an earlier epoch does not count', () => {
    const { epoch } = closedBreaker
    const opened = play('FFFFF 60').state
    assert.equal(onFailure(policy, opened, epoch, 999_999), opened)
    const halfOpen = play('FFFFF 60 SS').state
    assert.equal(onSuccess(policy, halfOpen, epoch), halfOpen)
    assert.equal(onFailure(policy, halfOpen, epoch, 999_999), halfOpen)
    assert.equal(onRelease(halfOpen, epoch), halfOpen)
    const again = play('FFFFF 60 SSS').state
    assert.equal(onFailure(policy, again, halfOpen.epoch, 999_999), again)
  })

  test('a breaker is closed with zero counters after a reset', () => {
    const { state } = play('FFFFF')
    const after = reset(state)
    const { epoch, ...rest } = after
    assert.deepEqual({ ...rest, epoch: 0 }, closedBreaker)
    assert.notEqual(epoch, state.epoch)
    assert.equal(onFailure(policy, after, epoch, 0).phase, 'closed')
  })

  test('a forced call counts as a trial', () => {
    const { state, now } = play('FFFFF 1')
    const tried = admitForced(state, now)
    assert.deepEqual([tried.phase, tried.trials], ['half_open', 1])
    const failed = onFailure(policy, tried, tried.epoch, now)
    assert.equal(stateAt(policy, failed, now + 59_999), 'open')
    assert.equal(admitForced(closedBreaker, now), closedBreaker)
  })
})
