// Turns simultaneous calls into one statement: each caller reads and writes as if alone, and a flood costs one round
// trip and one commit instead of hundreds. Calls that come while a statement runs form the next one. The callers limit
// how many call at once. A statement that the database refuses is repeated for each entry, so that one bad entry fails
// alone.

import { isDatabaseAway } from './availability.ts'

/** One result for each entry, in their order. */
export type Ask<Entry, Result> = (entries: Entry[]) => Promise<Result[]>

export function coalesce<Entry, Result>(ask: Ask<Entry, Result>, batchMax = 200): (entry: Entry) => Promise<Result> {
  type Waiting = { entry: Entry; resolve: (result: Result) => void; reject: (error: unknown) => void }
  let queue: Waiting[] = []
  let asking = false

  async function next(): Promise<void> {
    asking = true
    while (queue.length > 0) {
      const batch = queue.slice(0, batchMax)
      queue = queue.slice(batchMax)
      await send(batch)
    }
    asking = false
  }

  async function send(batch: readonly Waiting[]): Promise<void> {
    try {
      const results = await ask(batch.map(({ entry }) => entry))
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result)
    } catch (error) {
      if (batch.length === 1 || isDatabaseAway(error)) for (const { reject } of batch) reject(error)
      else for (const one of batch) await send([one])
    }
  }

  return (entry) =>
    new Promise((resolve, reject) => {
      queue.push({ entry, resolve, reject })
      // More entries may follow in the same turn of the event loop.
      if (queue.length === 1 && !asking) setImmediate(next)
    })
}
