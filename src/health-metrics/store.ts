// Prisma writes, lists and deletes the samples. A series is SQL: Prisma's groupBy groups by columns, not by steps of
// time; reading the samples and grouping them here takes two to five times as long; and TypedSQL needs a database when
// the client is generated.

import type { Queryable } from '../database/connection/client.ts'
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

type SampleTable = Pick<PrismaClient, 'healthMetric'>

/**
 * Goes from name to name along the index: the table has millions of rows and few names, and groupBy or distinct reads
 * all rows.
 */
export async function selectNames({ healthMetric }: SampleTable): Promise<string[]> {
  const names: string[] = []
  for (let after = ''; ; ) {
    const next = await healthMetric.findFirst({
      where: { metricName: { gt: after } },
      orderBy: { metricName: 'asc' },
      select: { metricName: true },
    })
    if (next === null) return names
    after = next.metricName
    names.push(after)
  }
}

const sweepLimitMs = 60_000

/**
 * Deletes at most `limit` of the samples from before `before`; returns their number. Zero if another replica is
 * deleting. Goes name by name, because the index begins with the name.
 */
export async function deleteOldSamples(prisma: PrismaClient, before: Date, limit: number): Promise<number> {
  return prisma.$transaction(
    async (tx) => {
      const [lock] = await tx.$queryRaw<{ locked: boolean }[]>`
        SELECT pg_try_advisory_xact_lock(hashtextextended('retention/health_metrics', 0)) AS locked`
      if (!lock?.locked) return 0
      let deleted = 0
      for (const metricName of await selectNames(tx)) {
        if (deleted === limit) break
        const where = { metricName, timestamp: { lt: before } }
        deleted += (await tx.healthMetric.deleteMany({ where, limit: limit - deleted })).count
      }
      return deleted
    },
    { timeout: sweepLimitMs },
  )
}
