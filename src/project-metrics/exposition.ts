// The metrics of one project's checks in Prometheus' text format, under the names of Healthchecks
// (https://healthchecks.io/docs/configuring_prometheus/), followed by metrics that Healthchecks lacks. All samples of a
// metric must be adjacent, so the lines are collected per metric, page by page.

import type { CheckReading } from '../checks/reading.ts'

type Metric = {
  name: string
  type: 'gauge' | 'counter'
  help: string
  /** Null for a check without a value. */
  value: (check: CheckReading, now: number) => number | null
}

const metrics: Metric[] = [
  {
    name: 'hc_check_up',
    type: 'gauge',
    help: '0 if the check is down, 1 otherwise',
    value: ({ status }) => Number(status !== 'down'),
  },
  {
    name: 'hc_check_started',
    type: 'gauge',
    help: '1 while a run of the check is open',
    value: ({ started }) => Number(started),
  },
  {
    name: 'hc_check_grace',
    type: 'gauge',
    help: '1 while the check is late and in its grace time',
    value: ({ status }) => Number(status === 'grace'),
  },
  {
    name: 'hc_check_paused',
    type: 'gauge',
    help: '1 while the check is paused',
    value: ({ status }) => Number(status === 'paused'),
  },
  {
    name: 'hc_check_last_duration_seconds',
    type: 'gauge',
    help: 'How long the last run took',
    value: ({ state }) => seconds(state.lastDurationMs),
  },
  {
    name: 'hc_check_seconds_since_last_ping',
    type: 'gauge',
    help: 'Time since the last success or failure was reported',
    value: ({ state }, now) => (state.lastPing === null ? null : seconds(Math.max(0, now - state.lastPing))),
  },
  {
    name: 'hc_check_seconds_until_deadline',
    type: 'gauge',
    help: 'Time until the check changes its status if no heartbeat comes; absent if it would not change',
    value: ({ deadline }, now) => (deadline === null ? null : seconds(deadline - now)),
  },
  {
    name: 'hc_check_pings_total',
    type: 'counter',
    help: 'Pings recorded so far',
    value: ({ state }) => state.n,
  },
  {
    name: 'hc_check_flips_total',
    type: 'counter',
    help: 'Changes of status so far',
    value: ({ state }) => state.flipSeq,
  },
]

/** Reads all pages; the returned parts together are the document. */
export async function expose(
  pages: AsyncIterable<readonly CheckReading[]>,
  now: () => number,
  uniqueKey: (id: string) => string,
): Promise<string[]> {
  const parts = metrics.map(({ name, type, help }) => [head(name, type, help)])
  const tagUp = new Map<string, boolean>()
  let [total, down] = [0, 0]
  for await (const page of pages) {
    const labels = page.map(
      ({ id, name, tagText }) => `{name="${escaped(name)}", tags="${escaped(tagText)}", unique_key="${uniqueKey(id)}"}`,
    )
    for (const [index, { name, value }] of metrics.entries()) {
      const lines = page.map((check, i) => line(name + labels[i], value(check, now())))
      parts[index]?.push(lines.join(''))
    }
    for (const { tags, status } of page) {
      total++
      if (status === 'down') down++
      for (const tag of tags) tagUp.set(tag, (tagUp.get(tag) ?? true) && status !== 'down')
    }
  }
  const tagLines = [...tagUp]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([tag, up]) => line(`hc_tag_up{tag="${escaped(tag)}"}`, Number(up)))
  return [
    ...parts.flat(),
    head('hc_tag_up', 'gauge', '0 if any check with the tag is down, 1 otherwise'),
    ...tagLines,
    head('hc_checks_total', 'gauge', 'How many checks there are') + line('hc_checks_total', total),
    head('hc_checks_down_total', 'gauge', 'How many checks are down') + line('hc_checks_down_total', down),
  ]
}

const head = (name: string, type: string, help: string) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`

const line = (series: string, value: number | null) => (value === null ? '' : `${series} ${value}\n`)

const seconds = (ms: number | null) => (ms === null ? null : ms / 1000)

const escaped = (text: string) => text.toWellFormed().replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
