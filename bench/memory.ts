// Resident memory of the service under a long flood of pings: node bench/memory.ts [--minutes 10] [--connections 64]. Prints the peak of
// each minute; it never passes or fails.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bench, createChecks, readNumbers, requireWrk, runWrk, startService } from './service.ts'

const sampleMs = 1000
const { minutes, connections } = readNumbers({ minutes: 10, connections: 64 })

requireWrk()
await bench(measure)

async function measure(scratch: string): Promise<void> {
  const service = await startService(scratch)
  const list = join(scratch, 'paths')
  await writeFile(list, `${(await createChecks(service.url)).join('\n')}\n`)
  const rssMb = async () => {
    const status = await readFile(`/proc/${service.child.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
  }

  console.log(`before the load: ${(await rssMb()).toFixed(0)} MB`)
  console.log('minute   pings/s   peak RSS')
  const peaks: number[] = []
  for (let minute = 1; minute <= minutes; minute++) {
    let peak = 0
    const load = runWrk(service, 60, connections, list)
    const loaded = load.then(() => true)
    while (!(await Promise.race([loaded, sleep(sampleMs, false)]))) peak = Math.max(peak, await rssMb())
    const { answered, refused, seconds } = await load
    peaks.push(peak)
    const rate = ((answered - refused) / seconds).toFixed(0)
    console.log(`${String(minute).padStart(6)}${rate.padStart(10)}${`${peak.toFixed(0)} MB`.padStart(11)}`)
  }
  const [, second = Number.NaN] = peaks
  const last = peaks.at(-1) ?? Number.NaN
  console.log(
    `\nlast minute against the second: ${(last / second).toFixed(2)} (target: within 0.10 of 1, at most 300 MB)`,
  )
}
