// The checks of a tenant, which fail and recover one after the other, and how late its destination gets each alert.

import { setTimeout as sleep } from 'node:timers/promises'
import type { FakeDestination } from './fake-destination.ts'
import { percentile } from './service.ts'
import type { Beat, Tenant } from './tenants.ts'

const pauseMs = 500

/**
 * `send` resolves once the heartbeat is accepted, which nobody waits for before the next; `heard` once the destination has all that it is
 * owed, or will not get it.
 */
export function createAlternation(options: {
  tenant: Tenant
  far: FakeDestination
  send: (beat: Beat) => Promise<void>
  heard: (owed: number) => Promise<void>
}) {
  const { tenant, far, send, heard } = options
  let sent = 0

  async function next(): Promise<void> {
    const at = sent++
    const { checks } = tenant
    // All fail before the first recovers: an outage and its recovery so close together might be coalesced.
    const isDown = Math.floor(at / checks.length) % 2 === 0
    await send({ check: checks[at % checks.length] as string, kind: isDown ? 'fail' : 'success' })
  }

  return {
    /** One change after the other for so long; resolves with how long after each its message came, in milliseconds. */
    async run(seconds: number): Promise<number[]> {
      const before = far.arrivals.length
      let owed = far.told()
      const under: Promise<void>[] = []
      for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(pauseMs)) {
        under.push(next())
        owed++
      }
      await Promise.all(under)
      await heard(owed)
      return far.arrivals.slice(before).map(({ at, flippedAt }) => at - flippedAt)
    },
  }
}

/** With more outages of one check within an hour the check would be flapping, and its alerts suppressed. */
const outagesMax = 8
/** A check recovers so many changes after it has failed, which is later than any client tries again. */
const checksMin = 40

/** How many checks the changes of so many seconds need. */
export const checksFor = (seconds: number): number =>
  Math.max(checksMin, Math.ceil((seconds * 1000) / pauseMs / 2 / outagesMax) + 1)

export const latencyHeader = (what: string): string => `${what.padEnd(28)}messages   p50 (ms)   p99 (ms)   longest (ms)`

export function latencyRow(name: string, latenciesMs: number[]): string {
  const [p50, p99, longest] = [0.5, 0.99, 1].map((share) => String(percentile(latenciesMs, share)))
  return [
    name.padEnd(28),
    String(latenciesMs.length).padStart(8),
    p50?.padStart(10),
    p99?.padStart(10),
    longest?.padStart(14),
  ].join(' ')
}
