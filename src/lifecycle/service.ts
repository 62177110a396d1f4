// The phase of the process, from the first probe to the last. Modules register start steps while the app is assembled;
// the steps run in that order once the listener answers, so that probes are truthful while the service waits for a
// database. Fastify stops the modules: onClose hooks run in the opposite order.

import { setTimeout as sleep } from 'node:timers/promises'
import { isDatabaseAway } from '../kit/availability.ts'

export type Phase = 'starting' | 'ready' | 'draining'

type StartStep = { name: string; run: (signal: AbortSignal) => Promise<void> }

export type Lifecycle = ReturnType<typeof createLifecycle>

const retryPauseMs = 500

export function createLifecycle(log: { warn(o: object, message: string): void }) {
  const steps: StartStep[] = []
  const stopping = new AbortController()
  const closing = new AbortController()
  let phase: Phase = 'starting'
  let current = ''
  let wasReady = false

  /** A database that goes away during the start is waited for, as if it had not been there yet. */
  async function runWithRetries({ name, run }: StartStep): Promise<void> {
    for (;;) {
      try {
        return await run(stopping.signal)
      } catch (error) {
        if (!isDatabaseAway(error) || stopping.signal.aborted) throw error
        log.warn(
          { err: error, event: 'start.retry', step: name },
          'the database went away during the start, trying again',
        )
        await sleep(retryPauseMs, undefined, { signal: stopping.signal }).catch(() => undefined)
      }
    }
  }

  return {
    get phase(): Phase {
      return phase
    },
    /** Whether the service ever accepted work. */
    get wasReady(): boolean {
      return wasReady
    },
    /** The current start step, for the log line of a start or stop that takes too long. */
    get current(): string {
      return current
    },
    /** Aborted when the process begins to stop: a start step that waits must give up then. */
    signal: stopping.signal,
    /**
     * Aborted when the listener is about to close: a request that waits for something else must give up then, and not
     * earlier.
     */
    closing: closing.signal,
    onStart(name: string, run: StartStep['run']): void {
      steps.push({ name, run })
    },
    /** Rejects with the error of the first step that fails for a reason that waiting cannot solve. */
    async start(): Promise<void> {
      for (const step of steps) {
        if (stopping.signal.aborted) return
        current = step.name
        await runWithRetries(step)
      }
      current = ''
      if (phase === 'starting') {
        phase = 'ready'
        wasReady = true
      }
    },
    drain(): void {
      phase = 'draining'
      stopping.abort()
    },
    close(): void {
      this.drain()
      closing.abort()
    },
  }
}
