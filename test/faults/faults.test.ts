// Whatever breaks, and whenever: each heartbeat that was acknowledged is in the database once. bench/faults.ts does the same for longer.

import { type TestContext, test } from 'node:test'
import { needsTool } from '../tools.ts'
import { faults } from './faults.ts'
import { requireKept, runFaults } from './rounds.ts'
import { canMount, type Mode, type Special } from './world.ts'

const options = { rounds: Number(process.env.FAULT_ROUNDS ?? 1), outageMs: 1500, replicas: 2 }
const timeout = 180_000 * options.rounds

for (const mode of ['available', 'consistent'] as const) {
  test(`${mode}: kills, outages and broken connections lose and double nothing`, { timeout }, (t) => inTurn(t, mode))
  test(`${mode}: clocks that are set lose and double nothing`, { timeout, skip: needsTool('faketime') }, (t) =>
    inTurn(t, mode, 'clocks'),
  )
}

test('a full disk under the spools is answered 503 and loses nothing', { timeout, skip: !canMount() }, (t) =>
  inTurn(t, 'available', 'disk'),
)

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
