// A route accepts only those path parameters that the document allows.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, keys } from '../helper.ts'
import { type Operation, operationsOf, problems } from './described.ts'
import { exchange } from './requests.ts'
import { keyFor, prepare, type World } from './world.ts'

type Values = Record<string, string>
type Parameter = NonNullable<Operation['parameters']>[number]

test('no route accepts a path parameter that the document excludes', async (t) => {
  const world = await prepare(t)
  const real = await realParts(world)
  const found: string[] = []
  let sent = 0
  for (const { name, method, path, operation } of operationsOf(world.document)) {
    const parameters = (operation.parameters ?? []).filter((one) => one.in === 'path')
    const values: Values = Object.fromEntries(
      parameters.map((one) => [one.name, real(path, one.name) ?? String(one.example ?? '')]),
    )
    const ask = (with_: Values) => {
      const filled = path.replace(/\{(\w+)\}/g, (_, one: string) => encodeURIComponent(with_[one] ?? ''))
      return exchange(world.running.url, { method, path: filled, headers: keyFor(path, operation, world) })
    }
    if (parameters.length > 0 && method === 'GET') {
      const { status } = await ask(values)
      assert.ok(
        status === 200 || hasNone.includes(operation.operationId),
        `${name} ${JSON.stringify(values)} ${status}`,
      )
    }
    for (const parameter of parameters) {
      for (const wrong of strangersTo(parameter, values[parameter.name] as string)) {
        const { status } = await ask({ ...values, [parameter.name]: wrong })
        if (status < 400) found.push(`${name} takes ${JSON.stringify(wrong)} for ${parameter.name}: ${status}`)
        sent++
      }
    }
  }
  t.diagnostic(`${sent} values`)
  assert.ok(sent > 1000)
  assert.deepEqual(found, [])
})

/** Nobody has mails here: their links are in test/alerting. */
const hasNone = ['showConfirmation', 'showUnsubscribing']

/** Values that are similar to a valid one, and that the document excludes. */
function strangersTo({ schema }: Parameter, value: string): string[] {
  const { type } = schema as { type?: string }
  const near = [
    ...['~', ' ', '\n', '.', '=', '+', 'x', '-', '0', '/', '\0'].flatMap((one) => [`${value}${one}`, `${one}${value}`]),
    ...[`${value.slice(0, 9)}~${value.slice(9)}`, value.toUpperCase(), value.slice(0, -1), value.repeat(20)],
    ...['x', '-1', '0', '1.5', '999999', '~', '😀', '{}', '*'],
  ]
  const read = (text: string) => (type === 'integer' && /^-?\d+$/.test(text) ? Number(text) : text)
  return near.filter((text) => text !== '' && text !== value && problems(schema, read(text)).length > 0)
}

const pushToken = 'a-token-of-a-device'

async function realParts(world: World): Promise<(path: string, name: string) => string | undefined> {
  const { call } = world.running
  const [check] = world.known('/checks/{id}', 'id') as [string]
  await call('POST', `/api/v3/checks/${check}`, { channels: '*', tags: 'prod', slug: 'job', push_token: pushToken })
  await call('POST', `/ping/${check}/fail`, 'broken')
  const message = await eventually('the alert', () => world.received().find((body) => body.includes('"down"')))
  const { links } = JSON.parse(message) as { links: Record<string, string> }
  const partsOf = (url: string | undefined) => new URL(url ?? '').pathname.split('/').slice(1)
  const { badges } = (await call('GET', '/api/v3/badges/')).json() as { badges: Record<string, Record<string, string>> }
  const [, key = '', all = ''] = partsOf(badges['*']?.svg)
  const [, , signature = '', tag = ''] = partsOf(badges.prod?.svg)
  const [, states = '', own = ''] = partsOf((await call('GET', `/api/v3/checks/${check}`)).json().badge_url as string)
  const parts: [RegExp, Values][] = [
    [/^\/api\/push\//, { token: pushToken }],
    [/^\/checks\//, { token: partsOf(links.check).at(-1) as string }],
    [/^\/acknowledge\//, { token: partsOf(links.acknowledge).at(-1) as string }],
    [/^\/badge\/\{key}\/\{file}/, { key, file: all }],
    [/^\/badge\/\{key}\/\{signature}/, { key, signature, file: tag }],
    [/^\/b\//, { states, file: own }],
    [/^\/projects\//, { project: crypto.randomUUID(), key: keys.api_key_readonly }],
    [/\/\{first}\/\{second}$/, { first: check, second: 'log' }],
    [/\/\{first}\/\{second}\/\{third}$/, { first: keys.ping_key, second: 'job', third: 'log' }],
    [/\/pings\//, { id: check, n: '1' }],
  ]
  return (path, name) =>
    parts.find(([at, values]) => at.test(path) && name in values)?.[1][name] ?? world.known(path, name)[0]
}
