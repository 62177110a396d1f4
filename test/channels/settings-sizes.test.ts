import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { settingsProblem } from '../../src/channels/settings.ts'
import { transports } from '../../src/channels/transports.ts'
import type { Transport } from '../../src/channels/wire/transport.ts'
import { cpuMs, heldMaxMs, longestTurnMs } from '../cpu.ts'
import { build } from '../helper.ts'
import { kinds } from './transports/subjects.ts'

const ids = (count: number) =>
  Array.from({ length: count }, (_, i) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`)
const record = (count: number) => Object.fromEntries(ids(count).map((id) => [id, 'x']))

const huge: Record<string, unknown> = {
  'one item again and again': Array.from({ length: 250_000 }, () => 1),
  'objects again and again': Array.from({ length: 50_000 }, () => ({})),
  ids: ids(25_000),
  'many properties': record(20_000),
  'a long text': 'a'.repeat(1_000_000),
  'signs of an address': 'a@'.repeat(500_000),
  'parts of a path': 'http://a.example/'.repeat(60_000),
}

suite('settings of a megabyte', () => {
  for (const [name, { settings }] of Object.entries({ ...kinds, group: { settings: () => ({ channels: ids(1) }) } }))
    test(`a megabyte in the settings of ${name} is refused at once, with the field`, async () => {
      const transport = transports[name as keyof typeof transports] as Transport
      const good = settings('http://a.example')
      assert.equal(settingsProblem(transport, good), undefined)
      for (const field of Object.keys((transport.settings as unknown as { properties: object }).properties))
        for (const [what, value] of Object.entries(huge)) {
          let problem: ReturnType<typeof settingsProblem>
          const took = await cpuMs(() => {
            problem = settingsProblem(transport, { ...good, [field]: value })
          }, 2)
          assert.equal(problem?.field.split('.')[0], field, `${field}: ${what}`)
          assert.ok((problem?.rule.length ?? 0) < 300)
          assert.ok(took < heldMaxMs, `${field}, ${what}: ${took} ms`)
        }
      const took = await cpuMs(() => settingsProblem(transport, { ...good, ...record(20_000) }), 2)
      assert.ok(took < heldMaxMs, `unknown fields: ${took} ms`)
    })

  test('the API refuses settings of a megabyte and lists around them', async (t) => {
    const { call } = await build(t)
    const hook = { kind: 'webhook', name: 'hook', settings: { url: 'http://a.example' } }
    const bodies: [path: string, body: object, field: RegExp][] = [
      ['channels', { kind: 'group', name: 'g', settings: { channels: huge['one item again and again'] } }, /channels/],
      ['channels', { ...hook, alerts: { events: huge.ids } }, /events/],
      ['channels', { ...hook, alerts: { severities: huge['one item again and again'] } }, /severities/],
      ['maintenance', { name: 'm', cron: '* * * * *', duration: 60, checks: huge.ids }, /checks/],
      ['maintenance', { name: 'm', cron: '* * * * *', duration: 60, tags: huge['one item again and again'] }, /tags/],
    ]
    for (const [path, body, field] of bodies) {
      let answer: { status: number; json: () => Record<string, unknown> } | undefined
      const held = await longestTurnMs(async () => {
        answer = await call('POST', `/api/v3/${path}/`, body)
      }, 2)
      assert.equal(answer?.status, 400)
      assert.match(String(answer?.json().field), field)
      assert.ok(held < 2 * heldMaxMs, `${path} ${field}: ${held} ms`)
    }
  })
})
