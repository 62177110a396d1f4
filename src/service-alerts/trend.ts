// What changed over the last minutes, from one reading at each look. A figure is null until its window is full, so that
// a start is not evaluated.

/** Counters since the start of the process, and gauges of the moment. `at` in monotonic milliseconds. */
export type Counters = {
  at: number
  cpuMicros: number
  heapUsedBytes: number
  databaseAttempts: number
  databaseFailures: number
  /** Callers that wait for a connection to the database. */
  waiting: number
}

export type Trend = {
  /** Share of one core, over five minutes. */
  cpuShare: number | null
  /** The least that was used at any look of the last five minutes: garbage does not count. */
  heapUsedBytes: number | null
  /** Uses of the database that failed because it could not be reached, over five minutes. */
  databaseFailures: number
  /** Share of the uses of the database that failed, over half a minute. */
  databaseFailureShare: number | null
  /** Callers that waited for a connection, at every look of the last two minutes. */
  waiting: number
}

const minuteMs = 60_000
const longestMs = 5 * minuteMs

/** `add` takes the reading of a look and returns the trend until then. */
export function createTrend() {
  const readings: Counters[] = []

  /** The readings since the latest one that is at least `ms` old; null if none is. */
  function within(ms: number): readonly [Counters, ...Counters[]] | null {
    const latest = readings.at(-1)?.at ?? 0
    const first = readings.findLastIndex(({ at }) => latest - at >= ms)
    return first === -1 ? null : (readings.slice(first) as [Counters, ...Counters[]])
  }

  return function add(reading: Counters): Trend {
    readings.push(reading)
    while (readings[1] !== undefined && reading.at - readings[1].at >= longestMs) readings.shift()
    const oldest = readings[0] as Counters
    const long = within(longestMs)
    const middle = within(2 * minuteMs)
    const [before] = within(minuteMs / 2) ?? []
    const attempts = before === undefined ? 0 : reading.databaseAttempts - before.databaseAttempts
    return {
      cpuShare: long && (reading.cpuMicros - oldest.cpuMicros) / 1000 / (reading.at - oldest.at),
      heapUsedBytes: long && Math.min(...long.map(({ heapUsedBytes }) => heapUsedBytes)),
      databaseFailures: reading.databaseFailures - oldest.databaseFailures,
      databaseFailureShare:
        before === undefined || attempts === 0 ? null : (reading.databaseFailures - before.databaseFailures) / attempts,
      waiting: middle === null ? 0 : Math.min(...middle.map(({ waiting }) => waiting)),
    }
  }
}
