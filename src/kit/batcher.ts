// Group commit: what arrives while batches are being written forms the next one, so that a lone entry waits for nobody and a
// flood shares transactions. There is no linger timer: it would add its length to every quiet moment and gain nothing in a
// busy one. Two batches at a time: while one waits for the disk the other has the processor. Callbacks instead of promises, because an
// awaited promise per entry costs a tenth of the throughput.

export type Done<Result> = (error: Error | null, result?: Result) => void

/** Entries that are enough for a batch: with more of them each costs little less. */
const amongMany = 32

/** A batch whose write takes longer than this is slow. */
const slowAfterMs = 500

type QueuedEntry<Entry, Result> = { entry: Entry; bytes: number; done: Done<Result> }

export type Batcher<Entry, Result> = {
  /** False if the queue is full: nothing was taken and `done` will not be called. */
  push(entry: Entry, bytes: number, done: Done<Result>): boolean
  readonly length: number
  /** The entry that has waited longest, queued or being written. */
  oldest(): Entry | undefined
  /** Resolves when nothing waits, nothing is being written and everybody has been called back. */
  drained(): Promise<void>
}

export function createBatcher<Entry, Result>(options: {
  /** A result, or an error for that entry alone, for each; a rejection fails them all. */
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

  /** How many of the queue make the next batch. */
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
   * Whether slow batches may be passed, because a few of them must not stop those behind them. If not, `next` runs
   * again when the oldest batch may have become slow.
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
    // What `next` began goes on in microtasks, and these come first: the database has its next batch before this one's answers are written.
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
      // In the same turn of the event loop more entries may follow; they shall share the first batch. A flood of them is no reason to keep
      // the database waiting until the turn is over.
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
