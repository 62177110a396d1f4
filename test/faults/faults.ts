// The table of faults. Each begins with healthy services under load, and ends after it has undone its own damage; the
// test then waits until the services have recovered from the rest.

import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { call, eventually } from '../helper.ts'
import { pause } from '../patience.ts'
import { type Client, startClient } from './client.ts'
import type { Mode, Special, World } from './world.ts'

export type Fault = {
  name: string
  modes: readonly Mode[]
  needs?: Special
  cause: (world: World, load: Client, options: FaultOptions) => Promise<void>
}

export type FaultOptions = { outageMs: number }

const both = ['available', 'consistent'] as const
const spooling = ['available'] as const
/** Longer than a service waits for a database that does not answer, shorter than its statements are given. */
const frozenMs = 3000
const spoolingMs = 2000
const cuts = 6
const spikeRequests = 400
/** What a full disk has left is less than a block. */
const blockBytes = 4096

export const faults: readonly Fault[] = [
  {
    name: 'kill -9 of a service',
    modes: both,
    async cause(world) {
      const place = world.anyPlace()
      await world.kill(place)
      await world.start(place)
    },
  },
  {
    name: 'kill -9 of all of PostgreSQL',
    modes: both,
    async cause({ postgres }) {
      await postgres.killAll()
      await postgres.start()
    },
  },
  {
    name: 'kill -9 of one PostgreSQL backend',
    modes: both,
    async cause({ postgres }) {
      await postgres.killBackend()
      await pause(100)
      await postgres.start()
    },
  },
  {
    name: 'PostgreSQL stopped',
    modes: both,
    async cause({ postgres }, _load, { outageMs }) {
      await postgres.stop()
      await pause(outageMs)
      await postgres.start()
    },
  },
  {
    name: 'PostgreSQL frozen',
    modes: both,
    async cause({ postgres }) {
      await postgres.freeze()
      await pause(randomInt(frozenMs))
      await postgres.thaw()
    },
  },
  { name: 'connection cut in a commit', modes: both, cause: cutCommits },
  { name: 'SIGTERM in a spike', modes: both, cause: endInSpike },
  { name: 'killed in the middle of a replay', modes: spooling, cause: killInReplay },
  { name: 'all spooling, all killed, adopted', modes: spooling, cause: abandonSpools },
  { name: 'disk of the spool full', modes: spooling, needs: 'disk', cause: fillDisk },
  {
    name: 'clock set back or forward',
    modes: both,
    needs: 'clocks',
    async cause({ clocks }) {
      await clocks?.jump()
    },
  },
]

async function cutCommits({ proxy }: World): Promise<void> {
  for (let n = 0; n < cuts; n++) {
    const moment = (['unheard', 'heard', 'answered'] as const)[randomInt(3)] ?? 'heard'
    await proxy.cutAt(['COMMIT', 'heartbeats_record_steady'], moment)
    await pause(randomInt(100))
  }
}

/** Many more arrive at once than usual, and the process gets SIGTERM while it serves them. */
async function endInSpike(world: World, load: Client): Promise<void> {
  const place = world.anyPlace()
  const service = world.services[place]
  assert.ok(service)
  const { checks } = world
  const spike = startClient({ targets: () => [service], checks, singles: spikeRequests, uploaders: 4 })
  await pause(50 + randomInt(500))
  const ended = service.stop('SIGTERM')
  await pause(randomInt(100))
  const { sent, acknowledged, ...counts } = await spike.stop()
  assert.equal(await ended, 0, service.output())
  for (const [rid, one] of sent) load.tally.sent.set(rid, one)
  for (const rid of acknowledged) load.tally.acknowledged.add(rid)
  load.tally.refused += counts.refused
  load.tally.unanswered += counts.unanswered
  load.tally.strange.push(...counts.strange)
  await world.start(place)
}

async function fillSpools(world: World): Promise<void> {
  await world.postgres.stop()
  await eventually('spools in use', async () => (await world.spooled()).length > 0)
  await pause(randomInt(spoolingMs))
}

/** One of the replicas dies with part of its spool in the database; another replica adopts its spool. */
async function killInReplay(world: World): Promise<void> {
  await fillSpools(world)
  const place = world.anyPlace()
  const back = world.services[place]?.lines().filter(({ event }) => event === 'database.back').length ?? 0
  await world.postgres.start()
  await eventually(
    'the replica sees the database',
    () => (world.services[place]?.lines().filter(({ event }) => event === 'database.back').length ?? 0) > back,
  )
  await pause(randomInt(500))
  await world.kill(place)
  await world.start(place)
}

/** Nobody is left; then one comes while the database is still away, and finds what all have left. */
async function abandonSpools(world: World): Promise<void> {
  await fillSpools(world)
  await Promise.all(world.services.map((_, place) => world.kill(place)))
  const abandoned = await world.spooled()
  assert.ok(abandoned.length > 0)
  await world.start(0, false)
  await pause(randomInt(1000))
  await world.postgres.start()
  await Promise.all(world.services.slice(1).map((_, place) => world.start(place + 1)))
}

async function fillDisk(world: World, load: Client): Promise<void> {
  await world.postgres.stop()
  await eventually('spools in use', async () => (await world.spooled()).length > 0)
  await pause(randomInt(300))
  const filler = join(world.spoolDir, 'filler')
  const { bavail, bsize } = await statfs(world.spoolDir)
  const before = load.tally.refused
  // The spools grow meanwhile: what no longer fits has filled the disk, too.
  await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - randomInt(8) * blockBytes))).catch(() => undefined)
  await eventually('heartbeats are refused', () => load.tally.refused > before + 100)
  for (const { url } of world.services) {
    await eventually('not ready', async () => (await call(url, 'GET', '/health/ready')).status === 503)
  }
  await rm(filler)
  await eventually('all ready without a database', async () => {
    const answers = await Promise.all(world.services.map(({ url }) => call(url, 'GET', '/health/ready')))
    return answers.every(({ status }) => status === 200)
  })
  await world.postgres.start()
}
