// Every registered address of the service: which methods it has, how it answers the others, and its two forms.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { build, keys, type Running } from '../../helper.ts'
import { exchange } from '../exchange.ts'

/** The route object itself, because inner plugins still change its configuration. */
type Registered = { url: string; methods: Set<string>; route: RouteOptions }

const configOf = ({ route }: Registered) => route.config ?? {}

const samples: Record<string, string> = {
  ':id(^[0-9a-f]{40}$)': 'a'.repeat(40),
  ':first(^(?:[\\w-]{22}|[\\w-]{36})$)': keys.ping_key,
  ':first': keys.ping_key,
  ':second': 'no-such-slug',
  ':third': 'start',
  ':kind': 'api_key',
  ':n': '1',
  ':hours': '1',
  ':states': '2',
  '*': 'tag.svg',
}
const uuid = '00000000-0000-4000-8000-000000000000'

/** An address that a pattern matches. */
function addressOf(pattern: string): string {
  const known = Object.entries(samples).reduce((path, [part, value]) => path.replaceAll(part, value), pattern)
  return known.replace(/:\w+/g, uuid)
}

async function start(t: Parameters<typeof build>[0]): Promise<Running & { addresses: Registered[] }> {
  const byUrl = new Map<string, Registered>()
  const observe = (app: FastifyInstance) => {
    app.addHook('onRoute', (route) => {
      const { method, url } = route
      const known = byUrl.get(url) ?? { url, methods: new Set<string>(), route }
      for (const one of [method].flat()) known.methods.add(one)
      byUrl.set(url, known)
    })
  }
  const env = { FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0', FLATLINE__LIMITS__MAX_EVENT_LOOP_DELAY_MS: '0' }
  const running = await build(t, env, observe)
  // The files of the page that shows the API come from a library.
  const addresses = [...byUrl.values()].filter(({ url }) => !url.startsWith('/api/docs'))
  return { ...running, addresses }
}

const everyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND']
const notJson = { headers: { 'content-type': 'no media type' }, body: 'a=b' }

test('an address answers each unsupported method with 405 and Allow, whatever the body', async (t) => {
  const { url, addresses } = await start(t)
  let refused = 0
  for (const address of addresses) {
    if (configOf(address).redirectsTo !== undefined) continue
    const { url: pattern, methods } = address
    const path = addressOf(pattern)
    const allowed = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) => methods.has(method))
    for (const method of everyMethod.filter((method) => !methods.has(method))) {
      const sent = method === 'TRACE' || method === 'HEAD' ? {} : notJson
      const { status, headers, text } = await exchange(url, { method, path, ...sent })
      assert.equal(status, 405, `${method} ${path}: ${text}`)
      assert.equal(headers.allow, [...allowed, 'OPTIONS'].join(', '), `${method} ${path}`)
      assert.match(String(headers['cache-control']), /no-store/)
      refused++
    }
    const options = await exchange(url, { method: 'OPTIONS', path })
    assert.deepEqual([options.status, options.text], [204, ''], path)
  }
  assert.ok(refused > 300, String(refused))
})

test('an unknown address is answered 404 by every method, whatever the body', async (t) => {
  const { url } = await start(t)
  const huge = { 'content-length': '99999999', 'x-api-key': keys.api_key }
  for (const path of ['/nope', '/api/v3/nope/', '/api/v1/checks/x/y/z', '/ping/a/b/c/d', '/projects/x']) {
    for (const method of [...everyMethod, 'OPTIONS']) {
      const sent = method === 'TRACE' || method === 'HEAD' ? {} : notJson
      assert.equal((await exchange(url, { method, path, ...sent })).status, 404, `${method} ${path}`)
    }
    assert.equal((await exchange(url, { method: 'POST', path, headers: huge, unfinished: true })).status, 404)
  }
})

test('own addresses work with and without a slash; those of Healthchecks with a slash redirect', async (t) => {
  const { url, addresses } = await start(t)
  const byUrl = new Map(addresses.map((address) => [address.url, address]))
  const hasTwoForms = ({ url, methods }: Registered) => {
    const twin = byUrl.get(url.endsWith('/') ? url.slice(0, -1) : `${url}/`)
    return twin !== undefined && [...methods].every((method) => twin.methods.has(method))
  }
  const inOneForm = (address: Registered) => {
    const { requires, answer, redirectsTo } = configOf(address)
    // An address of Healthchecks, or of a dialect that speaks as it does.
    if (redirectsTo !== undefined || answer !== undefined || requires === 'ingest') return false
    return !hasTwoForms(address)
  }
  assert.deepEqual(
    addresses.filter(inOneForm).map(({ url }) => url),
    [],
    'add the other form',
  )

  const redirecting = addresses.filter((address) => configOf(address).redirectsTo !== undefined)
  assert.ok(redirecting.length >= 15)
  const query = '?a=b&c=%20d'
  for (const { url: pattern } of redirecting) {
    const path = addressOf(pattern)
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const { status, headers } = await exchange(url, { method, path: path + query })
      assert.deepEqual([status, headers.location], [301, `${path}/${query}`], `${method} ${path}`)
    }
    assert.equal((await exchange(url, { method: 'OPTIONS', path })).status, 204, path)
  }
  for (const address of addresses) {
    const { answer, requires } = configOf(address)
    if (answer === undefined || requires === 'ingest' || !address.url.endsWith('/')) continue
    assert.ok(byUrl.has(address.url.slice(0, -1)), `${address.url} without its slash`)
  }
})

test('pages of any origin may call every address of the API, with any header that a call uses', async (t) => {
  const { url, addresses } = await start(t)
  const ofPages = addresses.filter((one) => /^\/(api|badge|b)\//.test(one.url) && !configOf(one).redirectsTo)
  assert.ok(ofPages.length > 60)
  for (const { url: pattern, methods } of ofPages) {
    const path = addressOf(pattern)
    const preflight = {
      origin: 'https://dashboard.example',
      'access-control-request-method': [...methods][0] as string,
      'access-control-request-headers': 'authorization,content-type,x-api-key',
    }
    const { status, headers } = await exchange(url, { method: 'OPTIONS', path, headers: preflight })
    assert.equal(status, 204, path)
    const offered = String(headers['access-control-allow-headers']).toLowerCase().split(', ')
    for (const name of ['authorization', 'content-type', 'x-api-key']) assert.ok(offered.includes(name), path)
    for (const method of methods)
      assert.ok(String(headers['access-control-allow-methods']).split(', ').includes(method), `${method} ${path}`)
    const refused = await exchange(url, { method: [...methods].includes('GET') ? 'GET' : 'POST', path })
    for (const one of [headers, refused.headers]) assert.equal(one['access-control-allow-origin'], '*', path)
  }
  const unknown = await exchange(url, { path: '/api/v3/nope' })
  assert.equal(unknown.headers['access-control-allow-origin'], '*')
  assert.equal((await exchange(url, { path: '/admin/log-level' })).headers['access-control-allow-origin'], undefined)
})

test('a failure below a ping address is fixed text that does not contain the address', async (t) => {
  const { url } = await start(t)
  const key = keys.ping_key
  const long = 'x'.repeat(101)
  for (const prefix of ['/ping/', '/']) {
    const rows: [path: string, status: number, text: string][] = [
      [`${prefix}${key}/${long}`, 400, 'invalid url format'],
      [`${prefix}${key}/${long}/start`, 400, 'invalid url format'],
      [`${prefix}${key}/job/${long}`, 400, 'invalid url format'],
      [`${prefix}${key}/%`, 400, 'invalid url format'],
      [`${prefix}${key}/job%zz`, 400, 'invalid url format'],
      [`${prefix}${key}/%ff`, 400, 'invalid url format'],
      [`${prefix}${key}/job/start/more`, 404, 'not found'],
      [`${prefix}${key}/job/start/more/${long}`, 404, 'not found'],
      [`${prefix}${key}/none`, 404, 'not found'],
      [`${prefix}${uuid}`, 404, 'not found'],
    ]
    for (const [path, status, text] of rows) {
      for (const method of ['GET', 'POST']) {
        const answer = await exchange(url, { method, path })
        assert.deepEqual([answer.status, answer.text], [status, text], `${method} ${path}`)
        assert.match(String(answer.headers['content-type']), /^text\/plain/, path)
        assert.match(String(answer.headers['cache-control']), /no-store/, path)
      }
    }
    for (const method of ['DELETE', 'PATCH', 'TRACE']) {
      const { status, text, headers } = await exchange(url, { method, path: `${prefix}${key}/job` })
      assert.deepEqual([status, text, headers.allow], [405, 'method not allowed', 'GET, HEAD, POST, PUT, OPTIONS'])
    }
  }
})

test('a broken or endless part of an address is refused in the words of its dialect', async (t) => {
  const { url, addresses } = await start(t)
  let refused = 0
  for (const { url: pattern, methods, route } of addresses) {
    const { answer, requires, redirectsTo } = route.config ?? {}
    if (answer === undefined || requires === 'ingest' || redirectsTo !== undefined || !methods.has('GET')) continue
    const parts = [...pattern.matchAll(/:\w+(?![^/]*\))(?=\/|$)/g)].map(([part]) => part)
    for (const part of parts) {
      for (const broken of ['%', '%zz', '%ff', 'x'.repeat(101)]) {
        const path = addressOf(pattern.replace(part, broken))
        const { status, text } = await exchange(url, { path, headers: { accept: 'text/html' } })
        assert.equal(status, 400, path)
        assert.doesNotMatch(text, /"code"/, path)
        refused++
      }
    }
  }
  assert.ok(refused > 50, String(refused))
  const ours = await exchange(url, { path: '/api/v3/channels/%' })
  assert.deepEqual(JSON.parse(ours.text), { error: 'invalid url format', code: 'bad_request' })
})
