// A drill of docs/backup.md, with times: a service takes heartbeats at a steady rate, is backed up, and loses its data
// directory; then the backup is restored and a service starts on it.
//
//   node scripts/drill.ts [--checks 50] [--rate 100] [--before 10] [--after 10] [--history 1]
//
// `rate` is heartbeats a second; `before` and `after` are the seconds before and after the backup; `history` is how many
// heartbeats, in thousands, the database has at the beginning. It prints the data that is lost (RPO) and the time until
// the first heartbeat is accepted (RTO), and fails if the restored service lacks a heartbeat that was acknowledged
// before the backup, or has a check that is not up. It touches nothing but a temporary directory of its own and, with
// BACKUP_S3_BUCKET in the environment, objects below a prefix of its own: then the backup is a base backup in the bucket,
// and the archived log restores what came after it.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { apiKey, bench, createChecks, readNumbers, type Server, startService } from '../bench/service.ts'

/** The instants at which heartbeats were acknowledged, in order, by the path of the ping address. */
type Acknowledged = Map<string, number[]>

const archived = Boolean(process.env.BACKUP_S3_BUCKET)
const storage = storageEnvironment()
const root = join(import.meta.dirname, '..')
const uploadMax = 1000
const retryMs = 20
const giveUpMs = 120_000
const options = readNumbers({ checks: 50, rate: 100, before: 10, after: 10, history: 1 })

await bench(async (scratch) => {
  const [dataDir, restoredDir, file] = ['data', 'restored', 'backup.gz'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ]
  const service = await startService(scratch, storage)
  const paths = await createChecks(service.url, options.checks)
  await uploadHistory(service, paths)
  const heartbeatsBefore = await countPings(service)

  const load = startLoad(service.url, paths)
  await sleep(options.before * 1000)
  const backup = await timed(() => flatline(archived ? ['archive', 'base'] : ['backup', file], dataDir))
  const asOf = Date.parse(/(?:as of|Z to) (\S+),/.exec(backup.result)?.[1] ?? '')
  await sleep(options.after * 1000)
  // What a restore needs beside the backup: docs/backup.md.
  await copyFile(join(dataDir, 'encryption.key'), join(scratch, 'encryption.key'))
  const lostAt = await lose(service, dataDir)
  const acknowledged = await load.stop()

  const restore = await timed(() => flatline(archived ? ['archive', 'recover'] : ['restore', file], restoredDir))
  await copyFile(join(scratch, 'encryption.key'), join(restoredDir, 'encryption.key'))
  const restored = await startService(scratch, { ...storage, DATA_DIR: restoredDir })
  const checks = await readChecks(restored)
  await acceptFirst(restored.url + paths[0])
  const rtoMs = Date.now() - lostAt

  const lost = findLost(acknowledged, checks, heartbeatsBefore)
  const rpoMs = lost.length === 0 ? 0 : lostAt - Math.min(...lost)
  const total = [...acknowledged.values()].flat().length
  console.log(`backup: ${seconds(backup.ms)}, ${options.after} s before the loss; restore: ${seconds(restore.ms)}`)
  console.log(`acknowledged: ${total}; lost: ${lost.length}`)
  console.log(`RPO: ${seconds(rpoMs)}`)
  console.log(`RTO: ${seconds(rtoMs)}`)
  requireSound(checks, lost, asOf)
})

type Check = { ping_url: string; status: string; n_pings: number }

async function readChecks({ url }: Server): Promise<Map<string, Check>> {
  const answer = await fetch(`${url}/api/v3/checks/`, { headers: { 'x-api-key': apiKey } })
  const { checks } = (await answer.json()) as { checks: Check[] }
  return new Map(checks.map((check) => [new URL(check.ping_url).pathname, check]))
}

async function countPings(service: Server): Promise<Map<string, number>> {
  return new Map([...(await readChecks(service))].map(([path, check]) => [path, check.n_pings]))
}

async function uploadHistory({ url }: Server, paths: readonly string[]): Promise<void> {
  const uuids = paths.map((path) => path.split('/').at(-1))
  const body = JSON.stringify(Array.from({ length: uploadMax }, (_, i) => ({ check: uuids[i % uuids.length] })))
  for (let thousand = 0; thousand < options.history; thousand++) {
    const headers = { 'x-api-key': apiKey, 'content-type': 'application/json' }
    const answer = await fetch(`${url}/api/v3/heartbeats/`, { method: 'POST', headers, body })
    if (!answer.ok) throw new Error(`the history was refused: ${answer.status} ${await answer.text()}`)
  }
}

/** Sends at a steady rate, to each check in turn and never two at once to one check. */
function startLoad(url: string, paths: readonly string[]) {
  const acknowledged: Acknowledged = new Map(paths.map((path) => [path, []]))
  const stopping = new AbortController()
  const senders = paths.map(async (path, i) => {
    const intervalMs = (1000 * paths.length) / options.rate
    const began = performance.now() + (i * 1000) / options.rate
    for (let n = 0; !stopping.signal.aborted; n++) {
      await sleep(Math.max(0, began + n * intervalMs - performance.now()))
      const ok = await fetch(url + path).then(
        (answer) => answer.text().then(() => answer.ok),
        () => false,
      )
      if (ok) acknowledged.get(path)?.push(Date.now())
    }
  })
  return {
    async stop(): Promise<Acknowledged> {
      stopping.abort()
      await Promise.all(senders)
      return acknowledged
    },
  }
}

/** The machine is gone: neither the service nor its database writes anything more. */
async function lose({ child }: Server, dataDir: string): Promise<number> {
  const postmaster = Number((await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0])
  const ended = once(child, 'exit')
  const lostAt = Date.now()
  child.kill('SIGKILL')
  process.kill(postmaster, 'SIGKILL')
  await ended
  // The processes of the database end by themselves when they notice, and may write a last file meanwhile.
  await rm(dataDir, { recursive: true, maxRetries: 20, retryDelay: 50 })
  return lostAt
}

async function acceptFirst(address: string): Promise<void> {
  for (const giveUpAt = Date.now() + giveUpMs; Date.now() < giveUpAt; await sleep(retryMs)) {
    if ((await fetch(address).catch(() => undefined))?.ok) return
  }
  throw new Error(`the restored service accepted no heartbeat within ${giveUpMs / 1000} s`)
}

/** Each check had one sender, so what a restored check has is the beginning of what was acknowledged. */
function findLost(acknowledged: Acknowledged, checks: Map<string, Check>, before: Map<string, number>): number[] {
  return [...acknowledged].flatMap(([path, instants]) => {
    const kept = (checks.get(path)?.n_pings ?? 0) - (before.get(path) ?? 0)
    return instants.slice(Math.max(0, kept))
  })
}

function requireSound(checks: Map<string, Check>, lost: readonly number[], asOf: number): void {
  const early = lost.filter((at) => at < asOf)
  if (early.length > 0)
    throw new Error(`${early.length} heartbeats are missing that were acknowledged before the backup`)
  const alarmed = [...checks.values()].filter(({ status }) => status !== 'up')
  if (checks.size !== options.checks || alarmed.length > 0)
    throw new Error(`of ${checks.size} restored checks ${alarmed.length} are not up`)
}

function storageEnvironment(): Record<string, string> {
  if (!process.env.BACKUP_S3_BUCKET) return {}
  const given = Object.entries(process.env).flatMap(([name, value = '']) =>
    /^(BACKUP_S3_|FLATLINE__BACKUP__)/.test(name) ? [[name, value]] : [],
  )
  const prefix = `${process.env.BACKUP_S3_PREFIX ?? 'flatline'}/drill-${Date.now()}`
  return { ...Object.fromEntries(given), BACKUP_S3_PREFIX: prefix }
}

async function flatline(args: string[], dataDir: string): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', DEPLOYMENT_ENV: 'local', DATA_DIR: dataDir, ...storage }
  return (await promisify(execFile)(process.execPath, ['src/cli.ts', ...args], { cwd: root, env })).stderr
}

async function timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; ms: number }> {
  const began = performance.now()
  const result = await work()
  return { result, ms: performance.now() - began }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
