// The faults of test/faults for any length of time, and a table of the fate of every heartbeat: node bench/faults.ts
// [--rounds 15] [--outage 30000] [--only WORD] [--mode MODE]. Exit status 1 if an acknowledged heartbeat was lost or
// altered.

import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { faults } from '../test/faults/faults.ts'
import { type Result, requireKept, runFaults } from '../test/faults/rounds.ts'
import type { Mode } from '../test/faults/world.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    outage: { type: 'string', default: '30000' },
    only: { type: 'string', default: '' },
    mode: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const outageMs = Number(values.outage)

console.log(
  `${cpus().length} processors (${cpus()[0]?.model}), Node.js ${process.version}, ${new Date().toISOString()}\n`,
)
console.log(`| fault | mode | rounds | sent | acknowledged | refused | no answer | missing | doubled |`)
console.log(`|---|---|---|---|---|---|---|---|---|`)
let failed = false
for (const fault of faults.filter(({ name }) => name.includes(values.only))) {
  for (const mode of fault.modes.filter((one) => values.mode === undefined || one === values.mode))
    await measure(fault, mode)
}
process.exit(failed ? 1 : 0)

async function measure(fault: (typeof faults)[number], mode: Mode): Promise<void> {
  try {
    const onRound = (name: string, n: number) => process.stderr.write(`${name}, ${mode}: ${n} of ${rounds}\r`)
    const [result] = await runFaults(mode, [fault], { rounds, outageMs, replicas: 2, onRound })
    if (result === undefined) return
    console.log(row(result))
    requireKept(result)
  } catch (error) {
    failed = true
    console.error(error)
  }
}

function row({ fault, mode, tally, verdict }: Result): string {
  const { sent, acknowledged, refused, unanswered } = tally
  const counts = [sent.size, acknowledged.size, refused, unanswered, verdict.missing.length, verdict.doubled.length]
  return `| ${fault} | ${mode} | ${rounds} | ${counts.map((n) => n.toLocaleString('en')).join(' | ')} |`
}
