// Every call that reads JSON refuses bytes that are not UTF-8, because a replacement would store another text, and
// drops a byte order mark.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { flatline } from '../cli/run.ts'
import { adminToken, build, keys, scratchDir } from '../helper.ts'

const broken = (json: string) => Buffer.from(json.replace('?', '\xfc'), 'latin1')
const unknownId = '00000000-0000-4000-8000-000000000000'

test('every call that reads JSON refuses bytes that are not UTF-8, whatever its content type', async (t) => {
  const { url, call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'kept' })).json()
  const document = (await call('GET', '/api/openapi.json')).json() as {
    paths: Record<string, Record<string, { requestBody?: unknown; tags?: string[] }>>
  }
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { requestBody }]) =>
      requestBody && path.startsWith('/api/') ? [{ method: method.toUpperCase(), path }] : [],
    ),
  )
  assert.ok(calls.length > 12, `${calls.length} calls`)
  for (const { method, path } of calls) {
    const address = url + path.replace(/\{\w+\}/g, path.includes('/checks/') ? String(uuid) : unknownId)
    for (const type of ['application/json', 'application/json; charset=iso-8859-1', 'x']) {
      const send = (headers: Record<string, string>) =>
        fetch(address, { method, body: broken('{"name":"B?ro"}'), headers: { ...headers, 'content-type': type } })
      const own = await send({ 'x-api-key': keys.api_key })
      const answer = [401, 403, 404].includes(own.status) ? await send({ authorization: `Bearer ${adminToken}` }) : own
      assert.equal(answer.status, 400, `${method} ${path} ${type}`)
      assert.match(((await answer.json()) as { error: string }).error, /UTF-8/, `${method} ${path}`)
    }
  }
  const { checks } = (await call('GET', '/api/v3/checks/')).json() as { checks: { name: string }[] }
  assert.deepEqual(
    checks.map(({ name }) => name),
    ['kept'],
  )
})

test('other forms of invalid bytes are refused, too', async (t) => {
  const { url } = await build(t)
  const post = (body: Buffer) =>
    fetch(`${url}/api/v3/checks/`, { method: 'POST', body, headers: { 'x-api-key': keys.api_key } })
  const texts = {
    overlong: Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
    surrogate: Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
    cut: Buffer.from('{"name":"ü"}').subarray(0, 10),
    utf16: Buffer.from('\ufeff{"name":"B"}', 'utf16le'),
  }
  for (const [name, body] of Object.entries(texts)) {
    const answer = await post(body)
    assert.equal(answer.status, 400, name)
    assert.match(await answer.text(), /UTF-8/, name)
  }
})

test('a byte order mark is removed', async (t) => {
  const { call } = await build(t)
  const made = (
    await call('POST', '/api/v3/checks/', `\ufeff${JSON.stringify({ slug: 'job', name: '\ufeffB\u00fcro' })}`)
  ).json()
  assert.equal(made.name, '\ufeffB\u00fcro')
  for (const body of ['\ufeff{"check":"job"}\n{"check":"job"}', '\ufeff[{"check":"job"}]']) {
    const answer = (await call('POST', '/api/v3/heartbeats/', body)).json()
    assert.deepEqual(answer.rejected, [], body)
  }
})

test('a definition file that is not UTF-8 is refused with its name, and one with a mark is applied', async (t) => {
  const { url, call } = await build(t)
  const directory = await scratchDir(t)
  const apply = (file: string) => flatline(['apply', file, '--server', url, '--key', keys.api_key])
  const [wrong, right] = [join(directory, 'wrong.yaml'), join(directory, 'right.yaml')]
  await writeFile(wrong, broken('checks:\n  - name: B?ro\n    slug: a\n'))
  await writeFile(right, '\ufeffchecks:\n  - name: Büro\n    slug: a\n')
  const refused = await apply(wrong)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /wrong\.yaml is not UTF-8/)
  assert.equal((await apply(right)).code, 0)
  const { checks } = (await call('GET', '/api/v3/checks/')).json() as { checks: { name: string }[] }
  assert.deepEqual(
    checks.map(({ name }) => name),
    ['Büro'],
  )
})

test('every call that takes instants and zones reads them in every form', async (t) => {
  const { call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', { slug: 'job' })).json()
  const instants = (at: number) => {
    const iso = new Date(at).toISOString().slice(0, 19)
    return [`${iso}.123456789Z`, `${iso.toLowerCase()}z`, `${iso}.${'0'.repeat(40)}1+00:00`, `${iso}+00`]
  }
  const now = Date.now()
  for (const at of instants(now - 60_000)) {
    assert.deepEqual((await call('POST', '/api/v3/heartbeats/', [{ check: 'job', at }])).json().rejected, [], at)
    for (const path of ['/api/v3/audit/', '/api/v3/health-metrics/?name=x']) {
      const address = `${path}${path.includes('?') ? '&' : '?'}from=${encodeURIComponent(at)}`
      assert.equal((await call('GET', address)).status, 200, address)
    }
  }
  for (const to of instants(now + 3_600_000)) {
    const from = new Date(now).toISOString()
    assert.equal((await call('POST', '/api/v3/maintenance/', { name: 'm', from, to })).status, 201, to)
    assert.equal((await call('POST', `/api/v3/checks/${uuid}`, { paused_until: to })).status, 200, to)
  }
  const never = `${new Date(now).getUTCFullYear() + 1}-02-30T00:00:00Z`
  assert.equal((await call('POST', `/api/v3/checks/${uuid}`, { paused_until: never })).status, 400)
  assert.match((await call('POST', '/api/v3/heartbeats/', [{ check: 'job', at: never }])).text, /at must be/)
  assert.equal((await call('POST', '/api/v3/maintenance/', { name: 'm', from: never, to: never })).status, 400)
  assert.equal((await call('GET', `/api/v3/audit/?from=${never}`)).status, 400)

  const cron = { schedule: '0 5 * * *' }
  for (const [tz, current] of [
    ['Europe/Uzhgorod', 'Europe/Kyiv'],
    ['US/Pacific-New', 'America/Los_Angeles'],
  ] as const) {
    assert.equal((await call('POST', '/api/v3/checks/', { ...cron, tz })).json().tz, current)
    assert.equal((await call('POST', '/api/v3/checks/', { schedule: `daily ${tz}` })).status, 201)
    const window = { name: 'm', cron: '0 5 * * *', duration: 60, tz }
    assert.equal((await call('POST', '/api/v3/maintenance/', window)).json().tz, current)
  }
})
