// Rounds of faults under one load, and the fate of every heartbeat.

import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { eventually } from '../helper.ts'
import { pause } from '../patience.ts'
import { startClient, type Tally } from './client.ts'
import type { Fault, FaultOptions } from './faults.ts'
import { compare, type Verdict } from './ledger.ts'
import { createScope } from './scope.ts'
import { createWorld, type Mode, type World } from './world.ts'

export type Result = { fault: string; mode: Mode; rounds: number; tally: Tally; verdict: Verdict }

export type RoundOptions = FaultOptions & {
  rounds: number
  replicas: number
  onRound?: (fault: string, n: number) => void
}

const load = { singles: 16, uploaders: 2 }
/** Answers that show that all goes well, before and after a fault. */
const wellAfter = 100
const momentMs = 600

/** All of them in one world, which all must need; resolves once its processes are gone. */
export async function runFaults(mode: Mode, chosen: readonly Fault[], options: RoundOptions): Promise<Result[]> {
  const scope = createScope()
  try {
    const world = await createWorld(scope, mode, options.replicas, chosen[0]?.needs)
    const tallies: Tally[][] = []
    for (const fault of chosen) {
      const own: Tally[] = []
      for (let n = 1; n <= options.rounds; n++) {
        own.push(await oneRound(world, fault, options))
        options.onRound?.(fault.name, n)
      }
      tallies.push(own)
    }
    const sums = tallies.map(sum)
    const verdicts = await compare(world.databaseUrl, sums)
    return chosen.map(({ name }, i) => ({
      ...{ fault: name, mode, rounds: options.rounds },
      ...{ tally: sums[i] as Tally, verdict: verdicts[i] as Verdict },
    }))
  } finally {
    await scope.end()
  }
}

async function oneRound(world: World, fault: Fault, options: FaultOptions): Promise<Tally> {
  const { services, checks } = world
  const client = startClient({ targets: () => services, checks, ...load })
  const goesWell = async () => {
    const before = client.tally.acknowledged.size
    await eventually(`${wellAfter} answers`, () => client.tally.acknowledged.size > before + wellAfter, 60_000)
  }
  try {
    await goesWell()
    await pause(randomInt(momentMs))
    await fault.cause(world, client, options)
    await world.recovered()
    await goesWell()
  } catch (error) {
    const lines = services.map(({ output }) => notFlips(output()).slice(-30).join('\n'))
    const left = await world.spooled()
    throw new Error(
      `${fault.name} (${world.mode}): ${(error as Error).message}\n${left.join('\n')}\n${lines.join('\n---\n')}`,
      {
        cause: error,
      },
    )
  } finally {
    await client.stop()
  }
  await world.recovered()
  return client.tally
}

/** The lines of a log that say what happened to the service, not to its checks. */
const notFlips = (log: string) => log.split('\n').filter((line) => !line.includes('"event":"flip"'))

function sum(tallies: readonly Tally[]): Tally {
  const total: Tally = { sent: new Map(), acknowledged: new Set(), refused: 0, unanswered: 0, repeated: 0, strange: [] }
  for (const { sent, acknowledged, refused, unanswered, repeated, strange } of tallies) {
    for (const [rid, one] of sent) total.sent.set(rid, one)
    for (const rid of acknowledged) total.acknowledged.add(rid)
    total.refused += refused
    total.unanswered += unanswered
    total.repeated += repeated
    total.strange.push(...strange)
  }
  return total
}

/** Fails if a promise was broken, or if there was none to break. */
export function requireKept({ fault, mode, tally, verdict }: Result): void {
  const what = `${fault}, ${mode}`
  assert.deepEqual(tally.strange.slice(0, 5), [], `${what}: answers that no fault excuses`)
  assert.ok(tally.acknowledged.size > wellAfter, `${what}: ${tally.acknowledged.size} acknowledged`)
  assert.deepEqual(verdict, { missing: [], doubled: [], altered: [], gaps: [] }, what)
}
