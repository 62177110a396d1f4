import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { renderConfigDocs } from '../../scripts/write-config-docs.ts'
import { settings } from '../../src/config/schema.ts'

for (const [path, text] of Object.entries(renderConfigDocs())) {
  test(`${path} matches the schema; otherwise run node scripts/write-config-docs.ts`, () => {
    assert.equal(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'), text)
  })

  test(`${path} names every setting`, () => {
    for (const { name } of settings) assert.match(text, new RegExp(`\\b${name}\\b`))
  })
}

test('every setting has a description, and no two settings share a variable', () => {
  for (const { path, schema } of settings) assert.ok(schema.description.length > 10, path)
  const names = settings.flatMap(({ variable, alias }) => (alias ? [variable, alias] : [variable]))
  assert.equal(new Set(names).size, names.length)
})
