// HAProxy as a process, in front of services that are replaced while it runs. It does not retry with another server,
// so every failure reaches the client. Every request is logged with its server and how it ended.

import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { eventually, scratchDir } from '../../helper.ts'
import { patience } from '../../patience.ts'

/** `ended` as HAProxy says it: `--` in order, `S…` because of the server, `SC` where that could not even be reached. */
type Handled = { id: string; server: string; status: number; ended: string }

export type Balancer = {
  /** Unix sockets on which it accepts. Through `redispatching` a connection that a server refused is made to another one. */
  entrances: { strict: string; redispatching: string }
  /** From now on the server is at this port; it gets requests when its checks say so. */
  point: (server: string, port: number) => Promise<void>
  /** Whether it gets requests at all. One that does not, `drain`, is checked all the same and finishes what it has. */
  admit: (server: string, state: 'ready' | 'drain') => Promise<void>
  /** `DRAIN` is one that is well and gets no requests. */
  waitFor: (server: string, status: 'UP' | 'DOWN' | 'DRAIN') => Promise<void>
  handled: () => Handled[]
  output: () => string
}

/**
 * How servers are checked, as docs/operations.md says and as shipped: down 1 to 2 s after readiness has turned 503,
 * which must be less than the drain of the service (DRAIN_MS, 5 s), and up within a second after it has turned 200.
 */
const checks = 'check inter 1s fall 2 rise 1'
const backends = ['kept', 'fresh', 'redispatching']

export async function startBalancer(t: TestContext, servers: Record<string, number>): Promise<Balancer> {
  const dir = await scratchDir(t)
  const socket = (name: string) => join(dir, `${name}.sock`)
  await writeFile(join(dir, 'haproxy.cfg'), configuration(socket, servers))
  const child = spawn('haproxy', ['-db', '-f', join(dir, 'haproxy.cfg')], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (output += chunk))
  favour(child.pid)
  const exited = new Promise((resolve) => child.once('exit', resolve))
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
  })

  async function command(line: string): Promise<string> {
    const admin = connect(socket('admin'))
    admin.end(`${line}\n`)
    return text(admin)
  }
  async function status(server: string): Promise<string | undefined> {
    const rows = (await command(`show stat ${backends[0]} 4 -1`)).split('\n').map((row) => row.split(','))
    const [name, state] = ['svname', 'status'].map((field) => rows[0]?.indexOf(field) ?? -1)
    return rows.find((row) => row[name as number] === server)?.[state as number]
  }
  const balancer: Balancer = {
    entrances: { strict: socket('strict'), redispatching: socket('redispatching') },
    async point(server, port) {
      for (const backend of backends) await command(`set server ${backend}/${server} addr 127.0.0.1 port ${port}`)
    },
    async admit(server, state) {
      await command(`set server ${backends[0]}/${server} state ${state}`)
    },
    async waitFor(server, wanted) {
      // While the status changes it is shown with its progress: "UP 1/2".
      await eventually(`${server} to be ${wanted}`, async () => (await status(server)) === wanted)
    },
    handled: () => [...output.matchAll(/^request (\S+) (\S+) (-?\d+) (\S\S)$/gm)].map(toHandled),
    output: () => output,
  }
  await eventually('HAProxy', () => status(Object.keys(servers)[0] as string)).catch((error: Error) => {
    throw new Error(`${error.message}:\n${output}`)
  })
  return balancer
}

/**
 * In production a balancer has its own machine; here it shares one with its servers, their clients and other tests. A
 * balancer that gets no processor time during a whole drain cannot detect it. Only root may raise the priority.
 */
export function favour(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, -10)
  } catch {}
}

function toHandled([, id = '', server = '', status = '', ended = '']: RegExpMatchArray): Handled {
  return { id, server, status: Number(status), ended }
}

/** Half of the requests share connections to the servers, the others have one of their own each: both can meet a server that closes. */
function configuration(socket: (name: string) => string, servers: Record<string, number>): string {
  const list = (how: (name: string) => string) =>
    Object.entries(servers)
      .map(([name, port]) => `  server ${name} 127.0.0.1:${port} ${how(name)}`)
      .join('\n')
  return `
global
  log stdout format raw local0
  stats socket ${socket('admin')} mode 600 level admin
  nbthread 1
  maxconn 1000
defaults
  mode http
  log global
  timeout connect 2s
  timeout client ${patience(60_000)}ms
  timeout server ${patience(30_000)}ms
  timeout http-keep-alive 60s
  timeout check 2s
  retries 0
  balance roundrobin
frontend strict
  bind unix@${socket('strict')}
  http-request capture req.hdr(x-request-id) len 64
  log-format "request %[capture.req.hdr(0)] %s %ST %ts"
  use_backend fresh if { rand(2) eq 1 }
  default_backend kept
frontend redispatching
  bind unix@${socket('redispatching')}
  http-request capture req.hdr(x-request-id) len 64
  log-format "request %[capture.req.hdr(0)] %s %ST %ts"
  default_backend redispatching
backend kept
  option httpchk GET /health/ready
  http-check expect status 200
  http-reuse always
${list(() => checks)}
backend fresh
  option http-server-close
  http-reuse never
${list((name) => `track kept/${name}`)}
backend redispatching
  http-reuse never
  retries 1
  retry-on conn-failure
  option redispatch 1
${list((name) => `track kept/${name}`)}
`
}
