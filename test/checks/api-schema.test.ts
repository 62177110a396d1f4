// Compares the schema of a check with its documents: a serialiser leaves out what its schema lacks, and writes in the
// order of the schema.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSchemas } from '../../src/checks/api-schema.ts'
import { checkDocument } from '../../src/checks/document.ts'
import { defaultSettings, wireFields } from '../../src/checks/fields/fields.ts'
import { initialState } from '../../src/core/status.ts'

/** Some value in each, so that the documents have them. */
const ours = {
  ...Object.fromEntries(wireFields.filter(({ isOurs }) => isOurs).map(({ setting }) => [setting, 1])),
  parent: '3c2ea6a5-5a2c-4f5b-9a57-0b2f2b6c9c01',
}

const check = {
  id: '7e1b7a0c-3f63-4a39-8d4c-0f6a9f0f1a01',
  projectId: '0f7b1a52-51a5-4a4c-9f0e-8f3d8a6f5d11',
  badgeKey: '5e5a2f0e-7d5f-4a5e-8f5a-3a1f0d2b7c11',
  createdAt: 0,
  deadline: null,
  lookAt: null,
  unsettled: null,
  channels: '',
  state: { ...initialState, lastDurationMs: 1000 },
}
const known = Object.keys((checkSchemas.Check as unknown as { properties: object }).properties)

test('the schema of a check has all fields of its documents, in their order', () => {
  for (const kind of ['simple', 'cron'] as const) {
    for (const readOnly of [true, false]) {
      const context = { siteUrl: 'https://beats.example.org', now: 0, windows: [] }
      const settings = { ...defaultSettings, ...ours, kind }
      const fields = Object.keys(checkDocument({ ...check, settings }, context, { version: 3, readOnly }))
      assert.deepEqual(
        fields,
        known.filter((name) => fields.includes(name)),
      )
    }
  }
})
