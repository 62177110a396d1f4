// Prometheus and Alertmanager as processes on free ports of 127.0.0.1, and a server in place of Slack and PagerDuty
// that keeps the notifications.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { eventually, scratchDir } from '../../helper.ts'
import { read } from './monitoring.ts'

export type Daemon = { url: string; child: ChildProcess; output: () => string; stop: () => Promise<void> }

export async function startPrometheus(t: TestContext, config: (dir: string) => string): Promise<Daemon> {
  const dir = await scratchDir(t)
  return startDaemon(t, 'prometheus', dir, config(dir), (port) => [
    `--storage.tsdb.path=${join(dir, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    // With the default of a minute Alertmanager would go on for four after Prometheus is gone.
    '--rules.alert.resend-delay=1s',
  ])
}

/** Its secrets are files in `secretsDir`; `change` is applied to the shipped configuration. */
export async function startAlertmanager(
  t: TestContext,
  secretsDir: string,
  change: (config: string) => string = (config) => config,
): Promise<Daemon> {
  const dir = await scratchDir(t)
  const shipped = read('monitoring/alertmanager/alertmanager.yml')
  const config = change(shipped.replaceAll('/etc/alertmanager/secrets', secretsDir))
  return startDaemon(t, 'prometheus-alertmanager', dir, config, (port) => [
    `--storage.path=${join(dir, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
  ])
}

async function startDaemon(
  t: TestContext,
  program: string,
  dir: string,
  config: string,
  args: (port: number) => string[],
): Promise<Daemon> {
  const path = join(dir, 'config.yml')
  writeFileSync(path, config)
  mkdirSync(join(dir, 'data'), { recursive: true })
  const port = await freePort()
  const child = spawn(program, [`--config.file=${path}`, ...args(port)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (output += chunk))
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await exited
  }
  t.after(stop)
  const url = `http://127.0.0.1:${port}`
  await eventually(`${program} is ready`, async () => (await fetch(`${url}/-/ready`)).status === 200).catch((error) => {
    throw new Error(`${error.message}:\n${output}`)
  })
  return { url, child, output: () => output, stop }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export type Told = { path: string; body: Record<string, unknown> }

/** Answers as Slack and PagerDuty do, and keeps the requests. */
export async function startVendors(t: TestContext): Promise<{ url: string; told: Told[] }> {
  const told: Told[] = []
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const path = request.url ?? ''
      told.push({ path, body: JSON.parse(Buffer.concat(chunks).toString()) })
      if (path === '/slack') response.end('ok')
      else response.writeHead(202, { 'content-type': 'application/json' }).end('{"status":"success"}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, told }
}
