import type { Queryable } from '../database/client.ts'
import type { PrismaClient } from '../database/generated/client.ts'
import { instant, statement } from '../database/sql.ts'

/** `value` is finite; `tags` are the labels of the series and the `node` that measured it. */
export type Sample = { name: string; value: number; tags: Record<string, string> }

export async function insertSamples(prisma: PrismaClient, timestamp: Date, samples: readonly Sample[]): Promise<void> {
  await prisma.healthMetric.createMany({
    data: samples.map(({ name, value, tags }) => ({ timestamp, metricName: name, metricValue: value, tags })),
  })
}

const points = statement(
  'health_metrics_points',
  { at: 'float8', min: 'float8', avg: 'float8', max: 'float8' },
  `SELECT at, min(metric_value) AS min, avg(metric_value) AS avg, max(metric_value) AS max
   FROM (SELECT floor(extract(epoch FROM timestamp) / $4::int)::float8 * $4::int AS at, metric_value FROM health_metrics
         WHERE metric_name = $1 AND timestamp >= ${instant('$2')} AND timestamp < ${instant('$3')}
           AND ($5::jsonb = '{}' OR tags @> $5::jsonb)) samples
   GROUP BY at ORDER BY at`,
)

/** In steps of `stepS` seconds, aligned to the epoch; `from` and `to` in epoch milliseconds. */
export async function selectPoints(
  on: Queryable,
  query: { name: string; from: number; to: number; stepS: number; tags: Record<string, string> },
): Promise<[number, number, number, number][]> {
  const { name, from, to, stepS, tags } = query
  const values = [name, from, to, stepS, JSON.stringify(tags)]
  const rows = await on.query(points, values)
  return rows.map(({ at, min, avg, max }) => [at, min, avg, max])
}

// From name to name along the index: the table holds millions of rows and few names.
const names = statement(
  'health_metrics_names',
  { name: 'text' },
  `WITH RECURSIVE found AS (
     (SELECT metric_name AS name FROM health_metrics ORDER BY metric_name LIMIT 1)
     UNION ALL
     SELECT (SELECT metric_name FROM health_metrics WHERE metric_name > found.name ORDER BY metric_name LIMIT 1)
     FROM found WHERE found.name IS NOT NULL)
   SELECT name FROM found WHERE name IS NOT NULL ORDER BY name`,
)

export async function selectNames(on: Queryable): Promise<string[]> {
  return (await on.query(names)).map(({ name }) => name)
}
