// Whatever breaks, and whenever: each heartbeat that was acknowledged is in the database once. bench/faults.ts does the same for longer.

import { type TestContext, test } from 'node:test'
import { patience } from '../patience.ts'
import { needsTool } from '../tools.ts'
import { faults } from './faults.ts'
import { requireKept, runFaults } from './rounds.ts'
import { needsMount } from './small-disk.ts'
import type { Mode, Special } from './world.ts'

const options = { rounds: Number(process.env.FAULT_ROUNDS ?? 1), outageMs: 1500, replicas: 2 }
const timeout = patience(180_000) * options.rounds

// Two worlds at a time: most of it is waiting for processes to start.
test('faults', { timeout: timeout * 5, concurrency: 2 }, async (t) => {
  const faketime = needsTool('faketime')
  const disk = await needsMount()
  await Promise.all([
    t.test('available mode: kills, outages and cut connections lose nothing', { timeout }, (each) =>
      inTurn(each, 'available'),
    ),
    t.test('consistent mode: kills, outages and cut connections lose nothing', { timeout }, (each) =>
      inTurn(each, 'consistent'),
    ),
    t.test('available mode: full disks lose nothing', { timeout, skip: disk }, (each) =>
      inTurn(each, 'available', 'disk'),
    ),
    t.test('available mode: clocks that are set lose nothing', { timeout, skip: faketime }, (each) =>
      inTurn(each, 'available', 'clocks'),
    ),
    t.test('consistent mode: clocks that are set lose nothing', { timeout, skip: faketime }, (each) =>
      inTurn(each, 'consistent', 'clocks'),
    ),
  ])
})

async function inTurn(t: TestContext, mode: Mode, special?: Special): Promise<void> {
  const chosen = faults.filter(({ modes, needs }) => modes.includes(mode) && needs === special)
  for (const result of await runFaults(mode, chosen, options)) {
    const { sent, acknowledged, refused, unanswered } = result.tally
    t.diagnostic(
      `${result.fault}: ${sent.size} sent, ${acknowledged.size} acknowledged, ${refused} refused, ${unanswered} without an answer`,
    )
    requireKept(result)
  }
}
