import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Definition, orderByParents, planSteps } from '../../src/checks/definitions/definition.ts'
import { parseDefinition } from '../../src/checks/definitions/definition-schema.ts'
import { defaultSettings } from '../../src/checks/fields/fields.ts'
import { parseCheck, rules } from '../../src/checks/fields/schema.ts'
import { AppError } from '../../src/core/errors.ts'
import { cpuMs, heldMaxMs, longestTurnMs } from '../cpu.ts'
import { build } from '../helper.ts'

const checksMax = 10_000
const texts = Object.keys(rules).filter((field) => {
  const rule = rules[field as keyof typeof rules] as (value: unknown) => string | undefined
  return /string|zone|expression|pattern|uuid|instant|value/.test(rule(0) ?? '')
})

const definition = (name: string, parent: string | null): Definition => ({
  uuid: null,
  badgeKey: null,
  parent,
  channels: undefined,
  paused: undefined,
  settings: { ...defaultSettings, name },
})

/** Each the parent of the next, in three orders. */
const chain = Array.from({ length: checksMax }, (_, i) => definition(`c${i}`, i === 0 ? null : `c${i - 1}`))
const orders = {
  'from the top': chain,
  'from the bottom': chain.toReversed(),
  'as they come': chain.toSorted((a, b) => (a.settings.name.slice(-1) < b.settings.name.slice(-1) ? -1 : 1)),
}

suite('what a caller may write is bounded', () => {
  test('the text fields of a check are bounded', async () => {
    assert.ok(texts.length > 12, texts.join())
    for (const field of texts)
      for (const piece of ['a', 'a,', '-', ' ', '*/1,', 'a-', '1..', '😀', 'Europe/', '\n'])
        for (const length of [220_000, 1_000_000]) {
          const value = piece.repeat(length / piece.length)
          let problem: unknown
          const took = await cpuMs(() => {
            try {
              parseCheck({ [field]: value }, 3)
            } catch (error) {
              problem = error
            }
          }, 2)
          assert.ok(problem instanceof AppError && problem.field === field, `${field} of ${length} ${piece}`)
          assert.ok(problem.message.length < 200, problem.message.slice(0, 200))
          assert.ok(took < heldMaxMs / 5, `${field} of ${length} ${JSON.stringify(piece)}: ${took} ms`)
        }
  })

  test('notes and channels of the maximum length are accepted', () => {
    assert.equal(parseCheck({ desc: 'x'.repeat(10_000) }, 3).settings.desc?.length, 10_000)
    assert.throws(() => parseCheck({ desc: 'x'.repeat(10_001) }, 3), /desc is too long, at most 10000 characters/)
    assert.throws(() => parseCheck({ channels: 'x'.repeat(100_001) }, 3), /channels is too long/)
    assert.throws(() => parseDefinition({ channels: ['x'.repeat(1_000_000)] }), /channels/)
    assert.throws(() => parseDefinition({ channels: Array.from({ length: 100_000 }, () => 'a') }), /channels/)
    assert.throws(() => parseDefinition({ parent: 'x'.repeat(1_000_000) }), /parent/)
  })

  for (const [order, definitions] of Object.entries(orders))
    test(`ten thousand checks, each the parent of the next, are sorted quickly ${order}`, async () => {
      const plan = () => {
        let id = 0
        const { steps } = planSteps(
          definitions.map((one, index) => ({ index, definition: one })),
          [],
          () => `id-${id++}`,
        )
        return orderByParents(steps, [])
      }
      const { ordered, refusals } = plan()
      assert.deepEqual(
        ordered.map(({ definition: { settings } }) => settings.name),
        chain.map(({ settings }) => settings.name),
      )
      assert.deepEqual(refusals, [])
      const took = await cpuMs(plan)
      assert.ok(took < heldMaxMs, `${took} ms`)
    })

  test('a cycle of parents is refused with all its descendants, and the others stay in order', () => {
    const names: [string, string | null][] = [
      ['a', 'b'],
      ['b', 'a'],
      ['below', 'a'],
      ['alone', 'alone'],
      ['child', 'top'],
      ['top', null],
    ]
    let id = 0
    const all = names.map(([name, parent], index) => ({ index, definition: definition(name, parent) }))
    const { ordered, refusals } = orderByParents(planSteps(all, [], () => `id-${id++}`).steps, [])
    assert.deepEqual(
      ordered.map(({ definition: { settings } }) => settings.name),
      ['top', 'child'],
    )
    assert.deepEqual(
      refusals.map(({ index }) => index),
      [0, 1, 2, 3],
    )
  })

  test('the API bounds the number of definitions and channels, and the length of notes', async (t) => {
    const { call } = await build(t)
    const checks = chain.map(({ settings: { name }, parent }) => ({ name, ...(parent !== null && { parent }) }))
    let summary: unknown
    const held = await longestTurnMs(async () => {
      summary = (await call('POST', '/api/v3/definitions/', { dry_run: true, checks })).json().summary
    }, 2)
    assert.deepEqual(summary, { created: checksMax, updated: 0, unchanged: 0, deleted: 0, failed: 0 })
    // The request and its answer are written and read in this process, too.
    assert.ok(held < 3 * heldMaxMs, `${held} ms`)

    const twins = Array.from({ length: checksMax }, () => ({ name: 'twin' }))
    const refused = await longestTurnMs(async () => {
      summary = (await call('POST', '/api/v3/definitions/', { dry_run: true, checks: twins })).json().summary
    }, 2)
    assert.equal((summary as { failed: number }).failed, checksMax - 1)
    assert.ok(refused < 3 * heldMaxMs, `${refused} ms`)

    for (let i = 0; i < 50; i++)
      await call('POST', '/api/v3/channels/', {
        kind: 'webhook',
        name: `hook ${i}`,
        settings: { url: 'http://a.example' },
      })
    for (const [field, value] of [
      ['channels', 'x,'.repeat(500_000)],
      ['channels', Array.from({ length: 14_000 }, () => 'hook 1').join()],
      ['desc', 'x'.repeat(1_000_000)],
    ] as const) {
      let status = 0
      const long = await longestTurnMs(async () => {
        status = (await call('POST', '/api/v3/checks/', { [field]: value })).status
      }, 2)
      assert.equal(status, value.startsWith('hook') ? 201 : 400)
      assert.ok(long < heldMaxMs, `${field}: ${long} ms`)
    }
  })
})
