// Behind a proxy that removes a path: SITE_URL has that path, and so has every address that the service writes.

import assert from 'node:assert/strict'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { build, call as callAt, createReceiver, eventually, keys } from '../helper.ts'
import { sql } from '../postgres.ts'

const prefix = '/tools/flatline'

/** Knows its target only once the service listens, which must know the proxy's address before. */
async function createStrippingProxy(t: TestContext): Promise<{ url: string; to: (url: string) => void }> {
  let target = ''
  const server = createServer((incoming, answer) => {
    const path = incoming.url ?? ''
    if (!path.startsWith(`${prefix}/`)) return answer.writeHead(404).end('outside of the prefix')
    const { method, headers } = incoming
    const onward = httpRequest(target + path.slice(prefix.length), { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
    })
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const to = (url: string) => {
    target = url
  }
  return { url: `http://127.0.0.1:${port}${prefix}`, to }
}

test('links, forms, redirects and the OpenAPI document keep the path of SITE_URL', async (t) => {
  const proxy = await createStrippingProxy(t)
  const { app, databaseUrl } = await build(t, { SITE_URL: proxy.url })
  const { port } = app.server.address() as AddressInfo
  proxy.to(`http://127.0.0.1:${port}`)
  const call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    callAt(proxy.url, method, path, body, headers)
  const follow = (address: string, from: string) => fetch(new URL(address, from))

  const receiver = await createReceiver(t)
  const settings = { url: receiver.url }
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings })
  const check = (await call('POST', '/api/v3/checks/', { name: 'a', tags: 'x', channels: '*' })).json()
  await call('POST', `/ping/${check.uuid}/fail`, 'output', {})
  await eventually('the alert', () => receiver.received.length > 0)

  const badges = (await call('GET', '/api/v3/badges/')).json()
  const pings = (await call('GET', `/api/v3/checks/${check.uuid}/pings/`)).json()
  const written = [JSON.stringify([check, badges, pings]), receiver.received[0]?.body ?? '']
  const links = written.flatMap((text) => text.match(/https?:\/\/[^"\\ <>]+/g) ?? [])
  assert.ok(links.length > 10)
  for (const link of links) assert.ok(link.startsWith(`${proxy.url}/`), link)

  const [outage] = await sql<{ seq: number }>(databaseUrl, 'SELECT max(seq) AS seq FROM flips WHERE check_id = $1', [
    check.uuid,
  ])
  const link = app.notifications.links.acknowledgement({ checkId: String(check.uuid), flipSeq: Number(outage?.seq) })
  const page = await (await fetch(link)).text()
  const actions = [...page.matchAll(/action="([^"]+)"/g)].map(([, action]) => action as string)
  assert.ok(actions.length >= 4)
  for (const action of actions)
    assert.equal((await fetch(new URL(action, link), { method: 'POST' })).status, 200, action)

  const project = `/projects/${check.uuid}/metrics`
  for (const path of ['/api/v1/checks', '/api/v3/badges', project]) {
    const moved = await call('GET', path, undefined, {})
    assert.equal(moved.headers.get('location'), `${prefix}${path}/`)
    const key = { authorization: `Bearer ${keys.api_key_readonly}` }
    assert.equal((await fetch(proxy.url + path, { headers: key })).status, 200, path)
  }

  const docs = await fetch(`${proxy.url}/api/docs/`)
  for (const [, address] of (await docs.text()).matchAll(/(?:src|href)="([^"]+)"/g))
    assert.equal((await follow(address as string, docs.url)).status, 200, address)
  const document = (await call('GET', '/api/openapi.json', undefined, {})).json() as { servers: { url: string }[] }
  assert.deepEqual(
    document.servers.map(({ url }) => url),
    [proxy.url],
  )
})
