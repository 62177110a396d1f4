// The manifests against the service that they run: its settings, its routes, its port.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { ConfigError, loadConfig } from '../../src/config/load.ts'
import { settings } from '../../src/config/schema.ts'
import { databaseTarget } from '../../src/config/values.ts'
import type { Requirement } from '../../src/core/permissions.ts'
import { readMigrations } from '../../src/database/migrate.ts'
import { build, call, scratchDir } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'
import { startService } from '../scenarios/service.ts'
import {
  find,
  type Manifest,
  manifests,
  type Node,
  nameOf,
  ofKind,
  overlay,
  parse,
  rendering,
  workloads,
} from './kubernetes/kustomize.ts'
import { createSecrets, type Environment, environmentOf } from './kubernetes/manifest-environment.ts'

const names = ['staging', 'production'] as const

/** Not for Flatline: Node.js reads two of them, the third only becomes a part of DATABASE_URL. */
const others = ['NODE_ENV', 'NODE_OPTIONS', 'DATABASE_PASSWORD']

for (const name of names) {
  test(`${name}: every variable is a setting, and the service starts with the values`, rendering, () => {
    const known = settings.flatMap(({ alias, variable }) => [variable, ...(alias ? [alias] : [])])
    for (const [workload, env] of environments(name)) {
      assert.deepEqual(
        Object.keys(env).filter((key) => !known.includes(key) && !others.includes(key)),
        [],
        workload,
      )
      const config = loadConfig({ env })
      assert.deepEqual([config.environment, config.server.host, config.log.format], [name, '0.0.0.0', 'json'])
    }
  })

  test(`${name}: the port, the directory and the site match the pod and the Ingress`, rendering, () => {
    const documents = overlay(name)
    const { server, features } = loadConfig({ env: serverEnvironment(name) })
    const [container] = find(documents, 'Deployment', 'flatline').spec.template.spec.containers
    assert.deepEqual(container.ports, [{ name: 'http', containerPort: server.port }])
    assert.equal(features.metricsPort, undefined, 'then the ServiceMonitor would ask another port')
    assert.ok(container.volumeMounts.some(({ mountPath }: Node) => mountPath === server.dataDir))
    for (const { spec } of ofKind(documents, 'Ingress')) {
      assert.deepEqual(
        spec.rules.map(({ host }: Node) => `https://${host}`),
        [server.siteUrl],
      )
      assert.deepEqual(
        spec.tls.flatMap(({ hosts }: Node) => hosts.map((host: string) => `https://${host}`)),
        [server.siteUrl],
      )
    }
  })

  test(`${name}: no heartbeat is acknowledged from a volume that is deleted with its pod`, rendering, () => {
    const { volumes } = find(overlay(name), 'Deployment', 'flatline').spec.template.spec
    assert.ok(volumes.find((volume: Node) => volume.name === 'data').emptyDir)
    const choice = settings.find(({ alias }) => alias === 'INGEST_MODE')
    assert.equal(serverEnvironment(name).INGEST_MODE, choice && 'consistent')
  })
}

test('in production the database must show a certificate of the mounted authority', rendering, () => {
  const { DATABASE_URL = '' } = serverEnvironment('production')
  const { searchParams } = new URL(DATABASE_URL)
  assert.equal(databaseTarget(DATABASE_URL)?.encrypted, true)
  assert.equal(searchParams.get('sslmode'), 'verify-full')
  for (const { pod } of workloads(overlay('production'))) {
    const [mount] = pod.containers[0].volumeMounts.filter(({ name }: Node) => name === 'database-authority')
    const [volume] = pod.volumes.filter(({ name }: Node) => name === 'database-authority')
    assert.deepEqual(volume.secret.items, [{ key: 'ca.crt', path: 'ca.crt' }])
    assert.equal(searchParams.get('sslrootcert'), `${mount.mountPath}/ca.crt`)
  }
})

test('the service refuses each value of the example secrets', rendering, () => {
  const [example] = parse(readFileSync(join(manifests, 'secrets.example.yaml'), 'utf8')) as Node[]
  for (const [key, value] of Object.entries<string>(example.stringData)) {
    assert.throws(
      () => loadConfig({ env: { ...serverEnvironment('production'), [key]: value } }),
      (error: unknown) => error instanceof ConfigError && error.problems.some((problem) => problem.startsWith(key)),
      key,
    )
  }
})

test(
  'with the production environment the service starts, and probes and scrape find their paths',
  rendering,
  async (t) => {
    const documents = overlay('production')
    const [container] = find(documents, 'Deployment', 'flatline').spec.template.spec.containers
    const env = serverEnvironment('production')
    const service = await startService(t, {
      env: { ...env, ...(await here(t)), DATABASE_URL: await createDatabase(t) },
    })
    const { port } = await service.event('server.listening')
    const ask = async (path: string, headers = {}) =>
      (await call(`http://127.0.0.1:${port}`, 'GET', path, undefined, headers)).status

    for (const { httpGet } of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
      assert.equal(await ask(httpGet.path), 200, httpGet.path)
    }
    const [endpoint] = find(documents, 'ServiceMonitor', 'flatline').spec.endpoints
    const { key } = endpoint.authorization.credentials
    assert.equal(await ask(endpoint.path, { authorization: `Bearer ${env[key]}` }), 200)
    assert.equal(await ask(endpoint.path), 401)
    assert.equal((await service.event('service.unwatched')).level, 'warn')
    assert.equal(await service.stop(), 0)
  },
)

test('the Job from the template migrates an empty database', rendering, async (t) => {
  const { spec } = find(overlay('production'), 'CronJob', 'flatline-migration')
  const { command } = spec.jobTemplate.spec.template.spec.containers[0]
  assert.deepEqual([spec.suspend, command.slice(0, 2)], [true, ['node', 'dist/cli.js']])
  const databaseUrl = await createDatabase(t, { empty: true })
  const { stdout } = await promisify(execFile)(process.execPath, ['src/cli.ts', ...command.slice(2)], {
    cwd: join(manifests, '..'),
    env: { ...environment('production', 'CronJob/flatline-migration'), ...(await here(t)), DATABASE_URL: databaseUrl },
  })
  assert.match(stdout, /^applied \d{14}_/)
  const [row] = await sql<{ applied: string }>(databaseUrl, 'SELECT count(*) AS applied FROM _prisma_migrations')
  assert.equal(Number(row?.applied), readMigrations().length)
})

/** What differs on this machine from a pod. */
async function here(t: TestContext): Promise<Environment> {
  return { PORT: '0', HOST: '127.0.0.1', DATA_DIR: await scratchDir(t), DRAIN_MS: '0' }
}

type Route = { url: string; requires: Requirement | undefined }

const ofHeartbeats: readonly unknown[] = ['ingest', 'heartbeats:write']

/** Nobody outside has any business there: the scraper, probes and operators come from inside of the cluster. */
const internal =
  /^\/(metrics|status|circuit-breaker|health|health\/live|live|liveness|ready|readiness|(admin|replicas)\/.*)\/?$|^\/health\/ready\/$/

/** Short addresses for a host that is for pings alone; a path of `/` would let the world reach the metrics. */
const bareRoot = /^\/:/

for (const name of names) {
  test(`${name}: the Ingress exposes the public paths, and heartbeats have no rate limit`, rendering, async (t) => {
    const found = new Map(
      (await routes(t)).map(({ url, requires }) => [url, { requires, ingress: ingressOf(name, url) }]),
    )
    assert.ok(found.size > 40)
    const wrong = [...found].filter(([url, { requires, ingress }]) => {
      if (internal.test(url) || bareRoot.test(url)) return ingress !== undefined
      return ingress !== (ofHeartbeats.includes(requires) ? 'flatline-heartbeats' : 'flatline-api')
    })
    assert.deepEqual(wrong, [])
    const reached = new Set([...found].map(([, { ingress }]) => ingress))
    assert.deepEqual(reached, new Set(['flatline-heartbeats', 'flatline-api', undefined]))
  })

  test(`${name}: only the API has a rate limit, and everything is redirected to TLS`, rendering, () => {
    const limited = ofKind(overlay(name), 'Ingress').map(({ metadata, spec }) => [
      metadata.name,
      metadata.annotations?.['haproxy.org/rate-limit-requests'],
      metadata.annotations?.['haproxy.org/rate-limit-status-code'],
      metadata.annotations?.['haproxy.org/ssl-redirect'],
      spec.ingressClassName,
    ])
    assert.deepEqual(limited, [
      ['flatline-api', '600', '429', 'true', 'haproxy'],
      ['flatline-heartbeats', undefined, undefined, 'true', 'haproxy'],
    ])
    // Two Ingresses that both ask for the certificate would fight over its Secret.
    const issuers = ofKind(overlay(name), 'Ingress').filter(
      ({ metadata }) => metadata.annotations?.['cert-manager.io/cluster-issuer'],
    )
    assert.deepEqual(issuers.map(nameOf), ['Ingress/flatline-api'])
  })
}

async function routes(t: TestContext): Promise<Route[]> {
  const found: Route[] = []
  await build(t, {}, (app) =>
    app.addHook('onRoute', ({ url, config }) => void found.push({ url, requires: config?.requires })),
  )
  return found
}

/** Which Ingress takes this address, by the rules of Kubernetes: the longest path wins, prefixes end at a slash. */
function ingressOf(name: string, route: string): string | undefined {
  const address = route.replaceAll(/:\w+/g, 'x')
  const candidates = ofKind(overlay(name), 'Ingress').flatMap(({ metadata, spec }) =>
    spec.rules.flatMap(({ http }: Node) =>
      http.paths
        .filter(
          ({ path, pathType }: Node) =>
            address === path || (pathType === 'Prefix' && `${address}/`.startsWith(`${path}/`)),
        )
        .map(({ path }: Node) => ({ ingress: metadata.name, path })),
    ),
  )
  return candidates.sort((a: Node, b: Node) => b.path.length - a.path.length)[0]?.ingress
}

function environments(name: string): [workload: string, Environment][] {
  const documents = overlay(name)
  const secret = createSecrets()
  return ours(documents).map((workload) => [nameOf(workload.manifest), environmentOf(documents, workload, secret)])
}

function serverEnvironment(name: string): Environment {
  return environment(name, 'Deployment/flatline')
}

function environment(name: string, workload: string): Environment {
  const found = environments(name).find(([one]) => one === workload)
  assert.ok(found, workload)
  return found[1]
}

const ours = (documents: Manifest[]) => workloads(documents).filter(({ manifest }) => manifest.kind !== 'StatefulSet')
