// The name of a test is what a list of failures shows of it: it must fit into one line there.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

/** Placeholders are left out: their values are short. */
const lengthMax = 99
const called = /\b(?:test|describe)(?:\.skip|\.only)?\(\s*(`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/g

const namesIn = (source: string): string[] => [...source.matchAll(called)].map(([, quoted = '']) => quoted.slice(1, -1))
const isLong = (name: string): boolean => name.replace(/\$\{[^}]*\}/g, '').length > lengthMax

test('the name of every test and suite has fewer than 100 characters', () => {
  const long = globSync('**/*.test.ts', { cwd: import.meta.dirname }).flatMap((path) =>
    namesIn(readFileSync(`${import.meta.dirname}/${path}`, 'utf8'))
      .filter(isLong)
      .map((name) => `${path}: ${name}`),
  )
  assert.deepEqual(long, [])
})

test('the check above finds a long name in every kind of quotes', () => {
  const words = 'a word '.repeat(15)
  for (const quote of ["'", '"', '`'])
    assert.deepEqual(namesIn(`test(${quote}${words}${quote}, () => {})`).filter(isLong), [words])
})
