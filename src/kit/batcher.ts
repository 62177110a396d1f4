// Group commit: entries that arrive while batches are being written form the next batch, so a lone entry does not wait
// and a flood shares transactions. There is no linger timer: it would delay every lone entry and gain nothing under
// load. Two batches are written at a time: while one waits for the disk the other has the processor. Callbacks instead
// of promises, because an awaited promise per entry costs a tenth of the throughput.

export type Done<Result> = (error: Error | null, result?: Result) => void

/** Enough entries for a batch: beyond this number a larger batch saves little per entry. */
const amongMany = 32

/** A batch whose write takes longer than this is slow. */
const slowAfterMs = 500

type QueuedEntry<Entry, Result> = { entry: Entry; bytes: number; done: Done<Result> }

export type Batcher<Entry, Result> = {
  /** False if the queue is full: then the entry was not taken and `done` will not be called. */
  push(entry: Entry, bytes: number, done: Done<Result>): boolean
  readonly length: number
  /** The entry that has waited longest, queued or being written. */
  oldest(): Entry | undefined
  /** Resolves when no entry waits or is being written and every callback has been called. */
  drained(): Promise<void>
}

export function createBatcher<Entry, Result>(options: {
  /** One result, or error for that entry alone, per entry; a rejection fails them all. */
  write: (entries: Entry[]) => Promise<(Result | Error)[]>
  queueMaxEntries: number
  queueMaxBytes: number
  batchMax: number
  /** The limit of one batch, unless a single entry is larger. */
  batchMaxBytes: number
  /** Batches written at the same time. */
  inFlightMax: number
  /** How many slow batches may be written in addition. */
  slowMax: number
}): Batcher<Entry, Result> {
  const { write, queueMaxEntries, queueMaxBytes, inFlightMax, slowMax } = options
  let queue: QueuedEntry<Entry, Result>[] = []
  let queuedBytes = 0
  const writing: QueuedEntry<Entry, Result>[][] = []
  const began = new WeakMap<QueuedEntry<Entry, Result>[], number>()
  let isWaiting = false
  let answering = 0
  let whenDrained: (() => void)[] = []

  function next(): void {
    if (queue.length === 0) return
    if (writing.length >= inFlightMax && !mayPassSlow()) return
    const count = batchLength()
    const batch = count === queue.length ? queue : queue.slice(0, count)
    queue = count === queue.length ? [] : queue.slice(count)
    for (const { bytes } of batch) queuedBytes -= bytes
    writing.push(batch)
    began.set(batch, performance.now())
    write(batch.map(({ entry }) => entry)).then(
      (results) => finish(batch, null, results),
      (error: Error) => finish(batch, error, []),
    )
    if (queue.length > 0) next()
  }

  /** How many entries of the queue form the next batch. */
  function batchLength(): number {
    const most = Math.min(queue.length, options.batchMax)
    if (queuedBytes <= options.batchMaxBytes) return most
    let bytes = 0
    for (let count = 0; count < most; count++) {
      bytes += queue[count]?.bytes ?? 0
      if (bytes > options.batchMaxBytes) return Math.max(1, count)
    }
    return most
  }

  /**
   * Whether the next batch may pass slow batches, because a few slow ones must not stop those behind them. If not,
   * `next` runs again when the oldest batch may have become slow.
   */
  function mayPassSlow(): boolean {
    if (slowMax === 0) return false
    const now = performance.now()
    const slow = writing.filter((batch) => now - (began.get(batch) ?? now) >= slowAfterMs).length
    if (writing.length - slow < inFlightMax && slow <= slowMax) return true
    if (isWaiting) return false
    isWaiting = true
    setTimeout(() => {
      isWaiting = false
      next()
    }, slowAfterMs).unref()
    return false
  }

  function finish(batch: QueuedEntry<Entry, Result>[], error: Error | null, results: (Result | Error)[]): void {
    writing.splice(writing.indexOf(batch), 1)
    next()
    // What `next` began goes on in microtasks, and they come before these callbacks: the database has its next batch
    // before the answers of this one are written.
    answering++
    setImmediate(answer, batch, error, results)
  }

  function answer(batch: QueuedEntry<Entry, Result>[], error: Error | null, results: (Result | Error)[]): void {
    answering--
    for (let i = 0; i < batch.length; i++) {
      const result = results[i]
      if (error || result instanceof Error) batch[i]?.done(error ?? (result as Error))
      else batch[i]?.done(null, result)
    }
    if (!isIdle()) return
    for (const resolve of whenDrained) resolve()
    whenDrained = []
  }

  const isIdle = () => writing.length === 0 && queue.length === 0 && answering === 0

  return {
    get length() {
      return queue.length
    },
    push(entry, bytes, done) {
      if (queue.length >= queueMaxEntries || queuedBytes + bytes > queueMaxBytes) return false
      queue.push({ entry, bytes, done })
      queuedBytes += bytes
      // In the same turn of the event loop more entries may follow, and they join the first batch. A flood of entries
      // must not keep the database waiting until the turn is over.
      if (queue.length === 1) setImmediate(next)
      else if (queue.length >= amongMany) next()
      return true
    },
    oldest() {
      return (writing[0] ?? queue)[0]?.entry
    },
    drained() {
      if (isIdle()) return Promise.resolve()
      return new Promise((resolve) => whenDrained.push(resolve))
    },
  }
}
