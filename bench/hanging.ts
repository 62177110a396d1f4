// Alerts of one tenant while many destinations of another hang, by the service as shipped, all on this machine: node
// bench/hanging.ts [--destinations 120] [--outages 20] [--seconds 60]. The first tenant has a failure and a recovery a
// second, first alone and then with all destinations of the other hanging and `outages` alerts waiting at each. Takes
// at most two minutes more than twice `seconds`. Prints figures; it never passes or fails.

import { checksFor, createAlternation, latencyHeader, latencyRow } from './alternation.ts'
import { startFakeDestination } from './fake-destination.ts'
import { bench, readNumbers } from './service.ts'
import { beat, createTenant, startForTenants, until } from './tenants.ts'

const { destinations, outages, seconds } = readNumbers({ destinations: 120, outages: 20, seconds: 60 })
const warmUpS = 3
const lateMs = 40_000

await bench(measure)
process.exit()

async function measure(scratch: string): Promise<void> {
  const service = await startForTenants(scratch)
  const [far, hanging] = await Promise.all([startFakeDestination(), startFakeDestination()])
  hanging.hang()
  const one = await createTenant(service, [far.url], checksFor(2 * seconds + warmUpS))
  const urls = Array.from({ length: destinations }, (_, n) => `${hanging.url}${n}`)
  const other = await createTenant(service, urls, outages)
  const { run } = createAlternation({
    tenant: one,
    far,
    send: (change) => beat(service, one, [change]),
    heard: (owed) =>
      until('messages', lateMs, () => far.told() >= owed).catch(() =>
        console.log(`${owed - far.told()} changes were not told within ${lateMs / 1000} s after the last`),
      ),
  })
  console.log(latencyHeader(''))
  await run(warmUpS)
  console.log(latencyRow('alone', await run(seconds)))
  await beat(
    service,
    other,
    other.checks.map((check) => ({ check, kind: 'fail' })),
  )
  console.log(latencyRow(`${destinations} of another hang`, await run(seconds)))
  console.log(`${hanging.waiting()} requests waited for an answer in the end`)
}
