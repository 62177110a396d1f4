import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { build, call as callAt, eventually, keys } from '../../helper.ts'
import { sql } from '../../postgres.ts'

const rows: [forwarded: string, address: string][] = [
  ['203.0.113.9', '203.0.113.9'],
  ['203.0.113.10:4711', '203.0.113.10'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['2001:db8::2', '2001:db8::2'],
  ['fe80::1%eth0', 'fe80::1'],
  [`fe80::2%${'a'.repeat(500)}`, 'fe80::2'],
  ['garbage', '127.0.0.1'],
  ['unknown', '127.0.0.1'],
  ['999.1.1.1', '127.0.0.1'],
  ['203.0.113.11, garbage', '127.0.0.1'],
  ["'; DROP TABLE audit", '127.0.0.1'],
  ['x'.repeat(5000), '127.0.0.1'],
  ['1.2.3.4.5:80', '127.0.0.1'],
  ['', '127.0.0.1'],
]

test('calls are answered and audited with an address, whatever a trusted proxy sends', async (t) => {
  const { url, databaseUrl, call } = await build(t, { TRUST_PROXY: 'loopback' })
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  for (const [index, [forwarded]] of rows.entries()) {
    const headers = { 'x-forwarded-for': forwarded, 'x-request-id': `row-${index}` }
    const key = { ...headers, 'x-api-key': keys.api_key }
    const sent: [method: string, path: string, body: unknown, headers: Record<string, string>, status: number][] = [
      ['POST', '/api/v3/checks/', {}, { ...headers, 'x-api-key': 'x'.repeat(32) }, 401],
      ['POST', `/api/v3/checks/${uuid}`, { name: `name ${index}` }, key, 200],
      ['GET', `/ping/${keys.ping_key}/slug-${index}?create=1`, undefined, headers, 201],
      ['POST', '/api/v3/heartbeats/', [{ check: uuid }], key, 200],
      ['GET', '/health', undefined, headers, 200],
    ]
    for (const [method, path, body, headers, status] of sent) {
      const answer = await callAt(url, method, path, body, headers)
      assert.equal(answer.status, status, `${forwarded.slice(0, 50)}: ${method} ${path} ${answer.text}`)
    }
  }
  const audited = await sql<{ request_id: string; address: string }>(
    databaseUrl,
    "SELECT request_id, host(address::inet) AS address FROM audit WHERE action = 'check.update' ORDER BY id",
  )
  assert.deepEqual(
    audited.map(({ address }) => address),
    rows.map(([, address]) => address),
  )
  await eventually('every failed authentication is on record', async () => {
    const failures = await sql<{ target: string }>(
      databaseUrl,
      "SELECT target FROM audit WHERE action = 'auth.failure'",
    )
    return new Set(rows.map(([, address]) => address)).size === new Set(failures.map(({ target }) => target)).size
  })
})

test('no source file uses the address from a proxy unchecked', () => {
  const root = join(import.meta.dirname, '../../../src')
  const users = globSync('**/*.ts', { cwd: root }).filter((path) => {
    const isGenerated = path.startsWith('database/generated/')
    // It only tests whether there is a list, that is, whether a proxy is trusted.
    return !isGenerated && /\b(request|req)\.ips?\b(?! === undefined)/.test(readFileSync(join(root, path), 'utf8'))
  })
  assert.deepEqual(users, [], 'use clientAddress')
})
