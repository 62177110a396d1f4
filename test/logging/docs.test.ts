import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')

/** Names that are put together, by the file that does. */
const composed: Record<string, string[]> = {
  'src/admin/plugin.ts': ['admin.log_level', 'admin.shutdown'],
  'src/notifications/attempts/conclude.ts': ['delivery.dead', 'delivery.retry', 'delivery.sent', 'delivery.suppressed'],
  'src/http/admission/rate-limit.ts': ['auth.limited', 'rate.limited'],
  'src/server.ts': ['shutdown.second_error', 'shutdown.second_signal'],
}

test('docs/logging.md lists every event that the code logs, and no other', () => {
  const files = globSync('src/**/*.ts', { cwd: root }).filter((path) => !path.includes('generated'))
  // Events of the log have a dot, or are one of the two that happen all the time; those of alerts are down, up, test.
  const literal = files.flatMap((path) =>
    [...readFileSync(join(root, path), 'utf8').matchAll(/\bevent: '([a-z]+\.[a-z_]+|request|flip)'/g)].map(
      ([, name]) => name,
    ),
  )
  const logged = new Set([...literal, ...Object.values(composed).flat()])
  const [, events = ''] = readFileSync(join(root, 'docs/logging.md'), 'utf8').split('\n## Events\n')
  const listed = [...events.matchAll(/^\| `([a-z._]+)` \| ([a-z, ]+) \| (.{10,}) \|$/gm)]
  assert.deepEqual(
    listed.map(([, name]) => name),
    [...logged].sort(),
  )
})

test('every file that computes names of events is in the list of this test', () => {
  for (const path of Object.keys(composed)) assert.match(readFileSync(join(root, path), 'utf8'), /\bevent\b/, path)
})
