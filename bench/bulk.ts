// Heartbeats by the thousand in one request, each on disk before the request is answered: node bench/bulk.ts [--seconds 10]
// [--uploads 4] [--entries 1000], where `uploads` are sent at the same time. Prints figures; it never passes or fails.

import {
  apiKey,
  bench,
  countPings,
  createChecks,
  percentile,
  readNumbers,
  type Server,
  startService,
} from './service.ts'

const options = readNumbers({ seconds: 10, uploads: 4, entries: 1000 })

await bench(async (scratch) => {
  const service = await startService(scratch)
  const uuids = (await createChecks(service.url)).map((path) => path.split('/').at(-1))
  const plain = JSON.stringify(entries(uuids, () => ({})))
  await upload(service, 2, () => plain)
  const before = await countPings(service)
  const accepted = await report('heartbeats', await upload(service, options.seconds, () => plain))
  const stored = (await countPings(service)) - before
  console.log(`accepted ${accepted}, in the database ${stored}`)
  let named = 0
  const withIds = () => JSON.stringify(entries(uuids, () => ({ id: `entry ${named++}` })))
  await report('with an id each', await upload(service, options.seconds, withIds))
})

function entries(uuids: readonly (string | undefined)[], more: () => object): object[] {
  return Array.from({ length: options.entries }, (_, i) => ({ check: uuids[i % uuids.length], ...more() }))
}

type Uploaded = { accepted: number; seconds: number; latenciesMs: number[] }

async function upload({ url }: Server, seconds: number, body: () => string): Promise<Uploaded> {
  const began = performance.now()
  const latenciesMs: number[] = []
  let accepted = 0
  const one = async () => {
    while (performance.now() - began < seconds * 1000) {
      const sent = performance.now()
      const answer = await fetch(`${url}/api/v3/heartbeats/`, {
        method: 'POST',
        headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
        body: body(),
      })
      const result = (await answer.json()) as { accepted: number; rejected: unknown[] }
      if (!answer.ok || result.rejected.length > 0) throw new Error(JSON.stringify(result).slice(0, 500))
      accepted += result.accepted
      latenciesMs.push(performance.now() - sent)
    }
  }
  await Promise.all(Array.from({ length: options.uploads }, one))
  return { accepted, seconds: (performance.now() - began) / 1000, latenciesMs }
}

async function report(what: string, { accepted, seconds, latenciesMs }: Uploaded): Promise<number> {
  const times = [0.5, 0.99].map((share) => percentile(latenciesMs, share).toFixed(0))
  console.log(
    `${what}: ${(accepted / seconds).toFixed(0)}/s (target: at least 40,000), ${options.entries} in an upload, ` +
      `${options.uploads} uploads at once, p50 ${times[0]} ms, p99 ${times[1]} ms`,
  )
  return accepted
}
