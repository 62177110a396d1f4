// Asks a Prometheus for what every panel of the dashboards shows, as Grafana would.

import { dashboardFiles, read } from './monitoring.ts'

type Target = { refId: string; expr: string; format?: string }
type Panel = { type: string; title: string; targets?: Target[] }
/** What one query of a panel returned: how many numbers, and how many values that are none. */
export type Drawing = { query: string; type: string; numbers: number; notNumbers: number }
export type Times = { fromS: number; toS: number; stepS: number; rateIntervalS: number }

type Answer = {
  status: string
  error?: string
  data: { result: { values?: [number, string][]; value?: [number, string] }[] }
}

/** Graphs over the whole time; tables, and with `isInstant` everything, at its end. */
export async function draw(prometheus: string, times: Times, { isInstant = false } = {}): Promise<Drawing[]> {
  const drawings: Drawing[] = []
  for (const path of dashboardFiles) {
    const { uid, panels } = JSON.parse(read(path)) as { uid: string; panels: Panel[] }
    for (const { type, title, targets = [] } of panels)
      for (const { refId, expr, format } of targets) {
        const values = await ask(prometheus, substituted(expr, times), times, isInstant || format === 'table')
        const numbers = values.filter((value) => !Number.isNaN(value)).length
        const query = `${uid}: ${title}${targets.length > 1 ? ` ${refId}` : ''}`
        drawings.push({ query, type, numbers, notNumbers: values.length - numbers })
      }
  }
  return drawings
}

async function ask(
  prometheus: string,
  query: string,
  { fromS, toS, stepS }: Times,
  isInstant: boolean,
): Promise<number[]> {
  const range = { start: String(fromS), end: String(toS), step: String(stepS) }
  const parameters = new URLSearchParams({ query, ...(isInstant ? { time: String(toS) } : range) })
  const answer = await fetch(`${prometheus}/api/v1/${isInstant ? 'query' : 'query_range'}`, {
    method: 'POST',
    body: parameters,
  })
  const { status, error, data } = (await answer.json()) as Answer
  if (status !== 'success') throw new Error(`${query}: ${error}`)
  return data.result.flatMap(({ values, value }) => values ?? (value ? [value] : [])).map(([, value]) => Number(value))
}

/** Every variable with its value "All". */
export function substituted(expr: string, { rateIntervalS }: Pick<Times, 'rateIntervalS'>): string {
  return expr
    .replaceAll('$__rate_interval', `${rateIntervalS}s`)
    .replaceAll(/\$(namespace|instance|job|check|tag)\b/g, '.*')
}
