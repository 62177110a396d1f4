// Other files must list the addresses of each dialect. A dialect that is missing in one of them fails here by its
// name.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RouteOptions } from 'fastify'
import { loadConfig } from '../../../src/config/load.ts'
import { isLimited, isPermission } from '../../../src/core/permissions.ts'
import { dialects, secretAddresses } from '../../../src/ingest/dialects/all.ts'
import { createLineCleaner } from '../../../src/logging/redaction.ts'
import { find, type Node, parse } from '../../deployment/kubernetes/kustomize.ts'
import { build } from '../../helper.ts'

const read = (path: string) => readFileSync(join(import.meta.dirname, '../../..', path), 'utf8')

const served = dialects.filter((dialect) => dialect.kind !== 'listener')
const routes = served.flatMap(({ name, kind, methods, routes }) =>
  routes.map((route) => ({ name, kind, methods, route })),
)
/** The Ingress has none of the bare root: a path of `/` would let the world reach everything else. */
const isOnRoot = (path: string) => path.startsWith('/:')

/** The parameters of a route with the examples of its schema. */
function examplesOf({ path, schema }: (typeof routes)[number]['route']): { address: string; values: string[] } {
  const { properties = {} } = (schema as Node).described.params ?? {}
  const values: string[] = []
  const address = path.replace(/:(\w+)(?:\(\^.*?\$\))?/g, (_, parameter: string) => {
    const [example] = properties[parameter]?.examples ?? []
    assert.equal(typeof example, 'string', `${path}: no example of ${parameter}`)
    values.push(example)
    return example
  })
  return { address, values }
}

test('k8s/base/ingress.yaml has the addresses of each dialect, where no rate is limited', () => {
  const { rules } = find(parse(read('k8s/base/ingress.yaml')), 'Ingress', 'flatline-heartbeats').spec
  const paths: string[] = rules.flatMap(({ http }: Node) => http.paths.map(({ path }: Node) => path))
  const missing = routes
    .filter(({ route: { path } }) => !isOnRoot(path) && !paths.some((known) => `${path}/`.startsWith(`${known}/`)))
    .map(({ name, route }) => `${name}: ${route.path}`)
  assert.deepEqual(missing, [])
})

test('compose/haproxy.cfg limits no address of a dialect', () => {
  const [, unlimited = ''] = /^ +acl heartbeats path_beg (.+)$/m.exec(read('compose/haproxy.cfg')) ?? []
  const limited = routes
    .filter(
      ({ route: { path } }) =>
        path.startsWith('/api/') && !unlimited.split(' ').some((known) => path.startsWith(known)),
    )
    .map(({ name, route }) => `${name}: ${route.path}`)
  assert.deepEqual(limited, [])
})

test('the log shows no credential that an address of a dialect holds', () => {
  const clean = createLineCleaner(loadConfig({ env: {} }), secretAddresses)
  for (const { name, kind, route } of routes) {
    if (kind !== 'pings') continue
    const { address, values } = examplesOf(route)
    const [example = ''] = values
    // The rule for ids of checks would match some examples; no other rule matches this text.
    const credentials = isOnRoot(route.path) ? [example] : [example, 'pl4nt3d-s3cret']
    for (const credential of credentials) {
      const sent = address.replace(example, credential)
      for (const line of [`GET ${sent} HTTP/1.1`, `{"msg":"https://beats.example.org${sent}?x=1"}`]) {
        assert.ok(line.includes(credential))
        assert.ok(!clean(line).includes(credential), `${name}: ${clean(line)} (src/logging/redaction.ts)`)
      }
    }
  }
})

test('an address without a fixed part says which form its credential has, or the service does not start', () => {
  const config = loadConfig({ env: {} })
  assert.throws(() => createLineCleaner(config, ['/:token']), /which part of \/:token is a credential/)
  assert.throws(() => createLineCleaner(config, ['/fixed']), /which part of \/fixed is a credential/)
  const clean = createLineCleaner(config, ['/:token(^[a-z]{10}$)', '/x.y/:token/z'])
  assert.equal(
    clean('GET /abcdefghij, /abcdefghijk and /x.y/s3cret/z, /xzy/s3cret/z'),
    'GET /***, /abcdefghijk and /x.y/***/z, /xzy/s3cret/z',
  )
})

test('each route of a dialect writes no line per request, is never shed and limits no rate', async (t) => {
  const found: RouteOptions[] = []
  await build(t, {}, (app) => app.addHook('onRoute', (route) => void found.push(route)))
  for (const { name, methods, route } of routes) {
    for (const method of methods) {
      const { config } =
        found.find(({ url, method: its }) => url === route.path && [its].flat().includes(method)) ??
        assert.fail(`${name}: ${method} ${route.path}`)
      const { quiet, pressureHandler, requires = 'public', statsId } = config as Node
      const isRateLimited = isPermission(requires) && isLimited(requires)
      const facts = { quiet, sheds: pressureHandler === undefined, isRateLimited, statsId }
      assert.deepEqual(facts, { quiet: true, sheds: false, isRateLimited: false, statsId: route.label }, name)
    }
  }
})

test('pages of other origins may send heartbeats by every method of a dialect', async (t) => {
  const { url } = await build(t)
  for (const { name, methods, route } of routes) {
    const { address } = examplesOf(route)
    const { status, headers } = await fetch(url + address, { method: 'OPTIONS' })
    assert.equal(status, 204, `${name}: ${address}`)
    assert.equal(headers.get('access-control-allow-origin'), '*', name)
    const allowed = String(headers.get('access-control-allow-methods')).split(', ')
    assert.deepEqual(
      methods.filter((method) => !allowed.includes(method)),
      [],
      name,
    )
  }
})
