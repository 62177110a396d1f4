// Turns scrapes of real processes into the input of `promtool test rules`: six minutes as before a fault, then twenty in
// which it lasts. Names, labels and values come from the scrapes. A gauge keeps its value, and a counter grows in
// each interval by as much as between the two scrapes: what happened then happens every 15 seconds. Ages and times of day
// go on with the clock if they did so at the end.

/** What one scrape of a process read; null if nothing answered. `at` is in epoch seconds. */
export type Scrape = { at: number; values: Map<string, number>; types: Map<string, string> } | null
/** By instance. One that is missing is no target: its name is not resolved any more. */
export type Snapshot = Record<string, Scrape>
/** Before a fault, while it lasts, and a moment later. */
export type Fault = { from: Snapshot; to: Snapshot; later?: Snapshot }
export type InputSeries = { series: string; values: string }

const stepS = 15
const wellSteps = 24
const faultSteps = 80
const faultFromS = wellSteps * stepS
/** When everything that a fault triggers has fired. */
export const endOfFault = `${(wellSteps + faultSteps) * stepS}s`

/** Seconds of the gauge in one second of the clock. */
const ages: Record<string, number> = {
  data_staleness_ms: 1000,
  data_staleness_seconds: 1,
  spool_replay_stalled_seconds: 1,
}

export function readScrape(text: string, at: number): Scrape {
  const values = new Map<string, number>()
  for (const [, series = '', value] of text.matchAll(/^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/gm))
    values.set(series, Number(value))
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]))
  return { at, values, types }
}

/** The series of the named metrics. `override` gives one of them other values. */
export function inputSeries(fault: Fault, metrics: ReadonlySet<string>, override?: Override): InputSeries[] {
  const instances = [...new Set([...Object.keys(fault.from), ...Object.keys(fault.to)])]
  return instances.flatMap((instance) => {
    const [from, to, later] = [fault.from, fault.to, fault.later].map((snapshot) => snapshot?.[instance])
    const names = new Set([...(from?.values.keys() ?? []), ...(to?.values.keys() ?? [])])
    const scraped = [...names].flatMap((series) => {
      const name = nameOf(series)
      if (!metrics.has(name)) return []
      if (name === override?.metric) return [{ series: labelled(series, instance), values: override.values }]
      const type = (to ?? from)?.types.get(name.replace(/_(bucket|sum|count)$/, '')) ?? (to ?? from)?.types.get(name)
      return [{ series: labelled(series, instance), values: valuesOf(series, { from, to, later }, type) }]
    })
    return [{ series: labelled('up', instance), values: gauge(upOf(from), upOf(to)) }, ...scraped]
  })
}

export type Override = { metric: string; values: string }
type Scrapes = Record<'from' | 'to' | 'later', Scrape | undefined>

const nameOf = (series: string): string => series.replace(/\{.*/, '')

/** With the labels that Prometheus gives to targets in Docker Compose. */
function labelled(series: string, instance: string): string {
  const own = /\{(.*)\}$/.exec(series)?.[1]
  return `${nameOf(series)}{job="flatline",instance="${instance}"${own ? `,${own}` : ''}}`
}

const upOf = (scrape: Scrape | undefined) => (scrape === undefined ? undefined : Number(scrape !== null))

function valuesOf(series: string, { from, to, later }: Scrapes, type: string | undefined): string {
  const name = nameOf(series)
  const [before, after, last] = [from, to, later].map((scrape) => scrape?.values.get(series))
  const grows = last !== undefined && after !== undefined && last > after
  if (name.endsWith('_timestamp_seconds')) return timestamp(before, after, from?.at, to?.at, grows)
  if (name === 'process_start_time_seconds')
    return before === after
      ? gauge(since(before, from?.at), since(before, from?.at))
      : gauge(since(before, from?.at), since(after, to?.at, faultFromS))
  const perS = ages[name]
  if (perS !== undefined) return gauge(before, after, grows ? perS * stepS : 0)
  return type === 'counter' || type === 'histogram' ? counter(before, after) : gauge(before, after)
}

/** A time of day, on a clock that shows `now` at the moment of the scrape. */
const since = (value: number | undefined, at: number | undefined, now = 0) =>
  value === undefined || at === undefined ? undefined : now + value - at

function timestamp(
  before: number | undefined,
  after: number | undefined,
  beforeAt: number | undefined,
  afterAt: number | undefined,
  moves: boolean,
): string {
  const well = since(before, beforeAt)
  const ill = since(after, afterAt, faultFromS)
  return `${run(well, wellSteps, stepS)} ${ill === undefined ? 'stale' : run(ill, faultSteps + 1, moves ? stepS : 0)}`
}

function gauge(before: number | undefined, after: number | undefined, growth = 0): string {
  return `${run(before, wellSteps)} ${after === undefined ? 'stale' : run(after, faultSteps + 1, growth)}`
}

function counter(before: number | undefined, after: number | undefined): string {
  const start = before === undefined || after === undefined || after < before ? 0 : before
  return gauge(before, after, (after ?? 0) - start)
}

/** `count` samples in promtool's notation, each higher by `growth`. */
function run(value: number | undefined, count: number, growth = 0): string {
  return value === undefined ? `_x${count}` : `${value}+${growth}x${count - 1}`
}
