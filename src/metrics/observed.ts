// Gauges whose readers are called at each scrape. A reader that fails has no values; a reader that takes too long is
// not waited for, because a database that hangs must not delay all other metrics.

import type { FastifyInstance } from 'fastify'

/** The client of fastify-metrics, in whose registry /metrics looks. */
export type MetricsClient = FastifyInstance['metrics']['client']

type MetricSample = { value: number; labels?: Record<string, string> }
export type SampleReader = () => readonly MetricSample[] | Promise<readonly MetricSample[]>

/** After this time the last known values are shown instead. */
const patienceMs = 500

/**
 * Registers one gauge for each row of `page`. The returned function adds a reader to one; with `everyMs` the reader is
 * called no more often.
 */
export function createObservedGauges<Name extends string>(
  client: MetricsClient,
  registry: InstanceType<MetricsClient['Registry']>,
  page: Record<Name, { help: string; labels?: readonly string[] }>,
) {
  const readers = new Map<string, SampleReader[]>()
  for (const [name, { help, labels = [] }] of Object.entries<{ help: string; labels?: readonly string[] }>(page)) {
    new client.Gauge({
      name,
      help,
      labelNames: [...labels],
      registers: [registry],
      async collect() {
        const samples = await Promise.all((readers.get(name) ?? []).map((read) => read()))
        this.reset()
        for (const sample of samples.flat()) this.set(sample.labels ?? {}, sample.value)
      },
    })
  }
  return (name: Name, read: SampleReader, { everyMs = 0 } = {}): void => {
    readers.set(name, [...(readers.get(name) ?? []), patient(read, everyMs)])
  }
}

function patient(read: SampleReader, everyMs: number): SampleReader {
  let known: readonly MetricSample[] = []
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined

  async function refresh(): Promise<void> {
    known = await (async () => read())().catch(() => [])
    readAt = performance.now()
    reading = undefined
  }

  return async () => {
    if (performance.now() - readAt < everyMs) return known
    reading ??= refresh()
    let timer: NodeJS.Timeout | undefined
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs)
    })
    await Promise.race([reading, enough])
    clearTimeout(timer)
    return known
  }
}
