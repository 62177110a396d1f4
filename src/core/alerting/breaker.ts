// A circuit breaker. While closed it admits every call and counts consecutive failures. Enough failures open it: it
// refuses calls until its recovery time has passed. Then it is half open: it admits a few trial calls and refuses the
// rest; it queues nothing. Enough successes close it, one failure opens it again for a whole recovery time.
//
// Every transition begins a new epoch, and a result counts only in the epoch in which its call was admitted: a late
// result of an earlier call says nothing about the present.

/** Times in milliseconds, on any clock that never goes back. */
export type BreakerPolicy = { failureThreshold: number; recoveryMs: number; successThreshold: number }

export type BreakerPhase = 'closed' | 'open' | 'half_open'

/** The values of the metric. Alert rules compare with these numbers, so they never change. */
export const breakerNumbers: Record<BreakerPhase, number> = { closed: 0, open: 1, half_open: 2 }

/**
 * `failures` are consecutive; `successes` and `trials` count since it became half open; `openedAt` is null while it is
 * closed.
 */
export type BreakerState = {
  phase: BreakerPhase
  epoch: number
  failures: number
  successes: number
  trials: number
  trialAt: number
  openedAt: number | null
}

export type Admission = { state: BreakerState; admitted: boolean }

/** A trial without a result for this long is given up: it must not keep a breaker half open for ever. */
export const trialLostAfterMs = 120_000

export const closedBreaker: BreakerState = {
  phase: 'closed',
  epoch: 0,
  failures: 0,
  successes: 0,
  trials: 0,
  trialAt: 0,
  openedAt: null,
}

/** Whether a call is admitted, and the new state. The call's result is reported with the epoch of that state. */
export function admit(policy: BreakerPolicy, state: BreakerState, now: number): Admission {
  switch (stateAt(policy, state, now)) {
    case 'closed':
      return { state, admitted: true }
    case 'open':
      return { state, admitted: false }
    case 'half_open': {
      const isFull = state.trials >= policy.successThreshold
      if (!isFull) return { state: withTrial(state, now), admitted: true }
      const areLost = now - state.trialAt >= trialLostAfterMs
      return areLost ? { state: withTrial({ ...state, trials: 0 }, now), admitted: true } : { state, admitted: false }
    }
  }
}

/**
 * Admits a call in any phase, for a user who waits for its result. Unless the breaker is closed, it counts as a trial.
 */
export function admitForced(state: BreakerState, now: number): BreakerState {
  return state.phase === 'closed' ? state : withTrial(state, now)
}

export function onSuccess(policy: BreakerPolicy, state: BreakerState, epoch: number): BreakerState {
  if (epoch !== state.epoch) return state
  if (state.phase === 'closed') return state.failures === 0 ? state : { ...state, failures: 0 }
  const successes = state.successes + 1
  if (successes >= policy.successThreshold) return reset(state)
  return { ...withoutTrial(state), successes }
}

export function onFailure(policy: BreakerPolicy, state: BreakerState, epoch: number, now: number): BreakerState {
  if (epoch !== state.epoch) return state
  const failures = state.failures + 1
  if (state.phase === 'closed' && failures < policy.failureThreshold) return { ...state, failures }
  return { ...closedBreaker, phase: 'open', epoch: epoch + 1, failures, openedAt: now }
}

/** The call was given up without a result. */
export function onRelease(state: BreakerState, epoch: number): BreakerState {
  return epoch === state.epoch && state.phase === 'half_open' ? withoutTrial(state) : state
}

/** Closed, with all counters at zero. */
export function reset(state: BreakerState): BreakerState {
  return { ...closedBreaker, epoch: state.epoch + 1 }
}

/**
 * The phase that others see: an open breaker counts as half open once its recovery time has passed, even without a
 * call.
 */
export function stateAt(policy: BreakerPolicy, state: BreakerState, now: number): BreakerPhase {
  return state.phase === 'open' && now >= nextAttemptAt(policy, state) ? 'half_open' : state.phase
}

/** When an open breaker admits the first trial. */
export function nextAttemptAt(policy: BreakerPolicy, { openedAt }: BreakerState): number {
  return (openedAt ?? 0) + policy.recoveryMs
}

/** The trial that an open breaker admits makes it half open. */
function withTrial(state: BreakerState, now: number): BreakerState {
  if (state.phase === 'half_open') return { ...state, trials: state.trials + 1, trialAt: now }
  return { ...state, phase: 'half_open', epoch: state.epoch + 1, successes: 0, trials: 1, trialAt: now }
}

function withoutTrial(state: BreakerState): BreakerState {
  return { ...state, trials: Math.max(0, state.trials - 1) }
}
