import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleAll } from 'cockatiel'
import fc from 'fast-check'
import { admit, type BreakerState, closedBreaker, onFailure, onSuccess } from '../../../src/core/alerting/breaker.ts'

const policy = { failureThreshold: 5, recoveryMs: 60_000, successThreshold: 3 }
const phases = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half_open',
  [CircuitState.Isolated]: 'isolated',
}

type Step = 'success' | 'failure' | number

const single: fc.Arbitrary<Step[]> = fc.oneof(
  fc.constant<Step[]>(['success']),
  fc.constant<Step[]>(['failure']),
  fc.constantFrom(1, 30_000, 59_999, 60_000, 60_001).map((ms): Step[] => [ms]),
)
const run = (outcome: Step, around: number): fc.Arbitrary<Step[]> =>
  fc.integer({ min: around - 1, max: around + 1 }).map((length) => Array<Step>(length).fill(outcome))
// Runs around the thresholds: single steps alone would hardly ever come as far as closing again.
const opening = fc.tuple(run('failure', 5), fc.constantFrom(59_999, 60_000), run('success', 3))
const steps = fc
  .array(
    fc.oneof(
      single,
      opening.map(([failures, ms, successes]) => [...failures, ms, ...successes]),
    ),
    {
      maxLength: 20,
    },
  )
  .map((parts) => parts.flat())

function oursFrom(start: number) {
  let state: BreakerState = closedBreaker
  let now = start
  return {
    advance: (ms: number) => {
      now += ms
    },
    call(outcome: 'success' | 'failure'): boolean {
      const admission = admit(policy, state, now)
      state = admission.state
      if (!admission.admitted) return false
      const { epoch } = state
      state = outcome === 'success' ? onSuccess(policy, state, epoch) : onFailure(policy, state, epoch, now)
      return true
    },
    phase: () => state.phase,
  }
}

// One call at a time: of calls at the same time cockatiel lets the surplus wait for the verdict where this breaker refuses, and counts
// failures that began before a transition.
test('a breaker behaves like cockatiel’s, one call at a time', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
  await fc.assert(
    fc.asyncProperty(steps, async (story) => {
      const theirs = circuitBreaker(handleAll, {
        halfOpenAfter: policy.recoveryMs,
        halfOpenSampling: { calls: policy.successThreshold, threshold: 0 },
        breaker: new ConsecutiveBreaker(policy.failureThreshold),
      })
      const ours = oursFrom(Date.now())
      for (const next of story) {
        if (typeof next === 'number') {
          t.mock.timers.tick(next)
          ours.advance(next)
          continue
        }
        let called = false
        await theirs
          .execute(() => {
            called = true
            if (next === 'failure') throw new Error('destination')
          })
          .catch(() => undefined)
        assert.equal(ours.call(next), called)
        assert.equal(ours.phase(), phases[theirs.state])
      }
    }),
    { numRuns: 500 },
  )
})
