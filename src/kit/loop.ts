// The only kind of background loop. Steps never overlap, the loop logs an error and goes on, and stop waits for the
// current step. A step that returns true has more to do and is called again without a pause.

import { isDatabaseAway } from './availability.ts'

export type LoopLog = { error(o: object, message: string): void; debug(o: object, message: string): void }

export type Loop = {
  start(): void
  /** Begins the next step now, if the loop sleeps. */
  wake(): void
  stop(): Promise<void>
}

/** After an error the pause doubles up to this, so that the loops do not flood a database that is unavailable. */
const errorPauseMaxMs = 5000

export function createLoop(options: {
  name: string
  intervalMs: number
  log: LoopLog
  step: (signal: AbortSignal) => Promise<boolean | undefined>
}): Loop {
  const { name, intervalMs, log, step } = options
  const stopping = new AbortController()
  let running: Promise<void> | null = null
  let wakeUp = () => {}
  let awake = false

  async function run(): Promise<void> {
    let errors = 0
    while (!stopping.signal.aborted) {
      awake = false
      let more: boolean | undefined = false
      try {
        more = await step(stopping.signal)
        errors = 0
      } catch (error) {
        errors++
        const line = { err: error, event: 'loop.error', loop: name, errors }
        // The database module logs an outage once; the loops that need the database do not.
        const level = isDatabaseAway(error) ? 'debug' : 'error'
        log[level](line, 'background step failed, will try again')
      }
      if (!more || errors > 0)
        await pause(errors === 0 ? intervalMs : Math.min(errorPauseMaxMs, intervalMs * 2 ** errors))
    }
  }

  function pause(ms: number): Promise<void> {
    if (awake || stopping.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      wakeUp = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  return {
    start() {
      running ??= run()
    },
    wake() {
      awake = true
      wakeUp()
    },
    async stop() {
      stopping.abort()
      wakeUp()
      await running
    },
  }
}
