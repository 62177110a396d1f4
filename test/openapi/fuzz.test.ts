// Whatever is sent to a call of the document gets an answer of the document. FUZZ_SEED repeats a run, FUZZ_RUNS lengthens it.

import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { keys } from '../helper.ts'
import { undocumented, unlikeDocument } from './answers.ts'
import { type Operation, operationsOf } from './described.ts'
import { exchange, requestsOf, type Sent } from './requests.ts'
import { admin, credentialsOf, prepare, type World } from './world.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20261129)
const runs = Number(process.env.FUZZ_RUNS ?? 8)

test('every call answers every request as the document says', async (t) => {
  t.diagnostic(`FUZZ_SEED=${seed} FUZZ_RUNS=${runs}`)
  const world = await prepare(t)
  const found: string[] = []
  const statuses: Record<number, number> = {}
  const ask = async (request: Sent, template = '', operation?: Operation) => {
    const answer = await exchange(world.running.url, request)
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
    const wrong =
      operation === undefined ? undocumented(request, answer) : unlikeDocument(template, request, answer, operation)
    if (wrong.length > 0)
      throw new Error(`${describe(request)} → ${answer.status} ${answer.text.slice(0, 300)}: ${wrong}`)
  }

  for (const [index, { path, method, operation }] of operationsOf(world.document).entries()) {
    const arbitrary = requestsOf(path, operation, world.known, (body) => withinReach(body, world.receiver))
    const property = fc.asyncProperty(
      arbitrary,
      fc.constantFrom(...credentialsOf(path, operation, world)),
      (parts, key) => ask(requestOf(method, parts, key), path, operation),
    )
    const result = await fc.check(property, { seed: seed + index, numRuns: runs, endOnFailure: true })
    if (result.failed) found.push(String(result.errorInstance))
  }
  for (const [path, methods] of Object.entries(world.document.paths)) {
    for (const method of ['TRACE', 'PATCH', 'PUT', 'DELETE', 'POST', 'PROPFIND'].filter((one) =>
      METHODS.includes(one),
    )) {
      if (method.toLowerCase() in methods) continue
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => world.known(path, name)[0] ?? '1')
      await ask({ method, path: filled, headers: { 'x-api-key': keys.api_key } }).catch((error) =>
        found.push(String(error)),
      )
    }
  }
  t.diagnostic(`requests by status: ${JSON.stringify(statuses)}`)
  assert.deepEqual(found, [])
  await isWell(world)
})

/** Channels lead to this machine and to nowhere else. */
function withinReach(body: unknown, receiver: string): unknown {
  if (body === null || typeof body !== 'object' || !('settings' in body) || !('kind' in body)) return body
  return {
    ...body,
    kind: typeof body.kind === 'string' ? 'webhook' : body.kind,
    settings: { ...(body.settings as object), url: receiver },
  }
}

type Parts = { path: string; query: string; body?: Buffer; contentType?: string }

function requestOf(method: string, { path, query, body, contentType }: Parts, key: Record<string, string>): Sent {
  const carries = body !== undefined && method !== 'GET' && method !== 'HEAD'
  const headers =
    carries && contentType ? { ...key, 'content-type': contentType, 'content-length': String(body.length) } : key
  return { method, path: path + query, headers, ...(carries && { body }) }
}

const describe = ({ method, path, headers, body }: Sent) =>
  `${method} ${path.slice(0, 200)} ${JSON.stringify(headers)} ${body?.toString().slice(0, 300) ?? ''}`

async function isWell({ running: { call } }: World): Promise<void> {
  const made = await call('POST', '/api/v3/checks/', { name: 'after' })
  assert.equal(made.status, 201, made.text)
  assert.equal((await call('GET', `/ping/${made.json().uuid}`, undefined, {})).text, 'OK')
  assert.equal((await call('GET', '/api/v3/checks/?limit=10')).status, 200)
  const quarantined = (await call('GET', '/api/v3/quarantine/', undefined, admin)).json()
  assert.deepEqual(Object.values(quarantined).find(Array.isArray), [], 'nothing is in the quarantine')
}
