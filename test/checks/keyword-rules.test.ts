// Which keywords a check has and whether its filter of subjects is on, after every mixture of older and newer field names, against a
// model of the original (Healthchecks, hc/api/views.py, `_update`).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from '../helper.ts'

type Keywords = { success_kw: string; failure_kw: string; filter_subject: boolean }
type Body = Partial<Keywords & { subject: string; subject_fail: string }>

/** What the original does, line by line. */
function model(before: Keywords, body: Body): Keywords {
  const check = { ...before }
  if (body.subject !== undefined) {
    check.success_kw = body.subject
    check.filter_subject = Boolean(check.success_kw || check.failure_kw)
  }
  if (body.subject_fail !== undefined) {
    check.failure_kw = body.subject_fail
    check.filter_subject = Boolean(check.success_kw || check.failure_kw)
  }
  if (body.success_kw !== undefined) check.success_kw = body.success_kw
  if (body.failure_kw !== undefined) check.failure_kw = body.failure_kw
  if (body.filter_subject !== undefined) check.filter_subject = body.filter_subject
  return check
}

const starts: Keywords[] = [
  { success_kw: '', failure_kw: '', filter_subject: false },
  { success_kw: 'ok', failure_kw: '', filter_subject: true },
  { success_kw: '', failure_kw: 'bad', filter_subject: true },
  { success_kw: 'ok', failure_kw: 'bad', filter_subject: false },
]

const bodies: Body[] = [undefined, '', 's'].flatMap((subject) =>
  [undefined, '', 'f'].flatMap((subjectFail) =>
    [undefined, '', 'new'].flatMap((keyword) =>
      [undefined, false].map((filter) => ({
        ...(subject === undefined ? {} : { subject }),
        ...(subjectFail === undefined ? {} : { subject_fail: subjectFail }),
        ...(keyword === undefined ? {} : { success_kw: keyword, failure_kw: keyword }),
        ...(filter === undefined ? {} : { filter_subject: filter }),
      })),
    ),
  ),
)

const keywordsOf = ({ success_kw, failure_kw, filter_subject }: Keywords) => ({
  success_kw,
  failure_kw,
  filter_subject,
})

test('an update keeps the subject filter on while a keyword is set, under its old or new name', async (t) => {
  const { call } = await build(t)
  const post = async (path: string, body: object) =>
    (await call('POST', path, JSON.stringify(body))).json() as Keywords & { uuid: string; subject: string }
  const { uuid } = await post('/api/v3/checks/', { name: 'updated' })
  for (const start of starts) {
    for (const [index, body] of bodies.entries()) {
      await post(`/api/v3/checks/${uuid}`, start)
      const isUpsert = index % 2 === 1
      const seen = isUpsert
        ? await post('/api/v1/checks/', { ...body, name: 'updated', unique: ['name'] })
        : await post(`/api/v2/checks/${uuid}`, body)
      const expected = model(start, body)
      assert.deepEqual(keywordsOf(seen), expected, JSON.stringify({ start, body }))
      assert.equal(seen.uuid, uuid)
      assert.equal(seen.subject, expected.filter_subject ? expected.success_kw : '')
    }
  }
})

test('a new check has the subject filter on if a keyword is set by its old name', async (t) => {
  const { call } = await build(t)
  for (const body of bodies) {
    // A pause takes a second step, which must not decide again.
    for (const more of [{}, { paused_until: '2199-01-01T00:00:00Z' }]) {
      const made = (await call('POST', '/api/v3/checks/', JSON.stringify({ ...body, ...more }))).json() as Keywords
      assert.deepEqual(keywordsOf(made), model(starts[0] as Keywords, body), JSON.stringify(body))
    }
  }
})
