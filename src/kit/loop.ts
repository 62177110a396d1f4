// The only background loop. Steps never overlap, an error is logged and the loop goes on, and stop waits for the step
// under way. A step that did all it could take at once returns true to be called again without a pause.

import { isDatabaseAway } from './availability.ts'

export type LoopLog = { error(o: object, message: string): void; debug(o: object, message: string): void }

export type Loop = {
  start(): void
  /** Begins the next step now, if the loop sleeps. */
  wake(): void
  stop(): Promise<void>
}

/** After an error the pause doubles up to this, so that a database that is away is not stormed. */
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
        // An outage of the database is logged once, by the database module, and not by every loop that needs it.
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
