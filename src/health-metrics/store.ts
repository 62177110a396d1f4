import type { PrismaClient } from '../database/generated/client.ts'

/** `value` is finite; `tags` are the labels of the series and the `node` that measured it. */
export type Sample = { name: string; value: number; tags: Record<string, string> }

export async function insertSamples(prisma: PrismaClient, timestamp: Date, samples: readonly Sample[]): Promise<void> {
  await prisma.healthMetric.createMany({
    data: samples.map(({ name, value, tags }) => ({ timestamp, metricName: name, metricValue: value, tags })),
  })
}

/** Deletes samples of the named metrics from before `before`; by name, because that is what the index begins with. */
export async function deleteSamples(prisma: PrismaClient, names: readonly string[], before: Date): Promise<number> {
  const { count } = await prisma.healthMetric.deleteMany({
    where: { metricName: { in: [...names] }, timestamp: { lt: before } },
  })
  return count
}
