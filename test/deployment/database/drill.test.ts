import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { run } from '../../scenarios/command.ts'

test('the drill restores a lost service and prints what was lost and how long it took', async (t) => {
  const options = ['--checks', '5', '--rate', '20', '--before', '1', '--after', '1']
  const { code, out, err } = await run(t, [process.execPath, 'scripts/drill.ts', ...options], { TMPDIR: tmpdir() })
  assert.equal(code, 0, err)
  const figure = (pattern: RegExp) => Number(pattern.exec(out.toString())?.[1])
  assert.ok(figure(/acknowledged: (\d+)/) > figure(/lost: (\d+)/), out.toString())
  assert.ok(figure(/lost: (\d+)/) > 0, 'the heartbeats after the backup are lost')
  assert.ok(figure(/RPO: ([\d.]+) s/) >= 1, 'the backup is one second old')
  const recoveredS = figure(/RTO: ([\d.]+) s/)
  assert.ok(recoveredS > 0 && recoveredS < 15 * 60, `${recoveredS} s`)
  const left = (await readdir(tmpdir())).filter((name) => name.startsWith('flatline-bench-'))
  assert.deepEqual(left, [], 'the drill removes what it made')
})
