import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { shell } from '../../../src/channels/transports/shell.ts'
import { DeliveryError } from '../../../src/channels/wire/transport.ts'
import { eventually, scratchDir } from '../../helper.ts'
import { pause } from '../../patience.ts'
import { changed, contextWith, down, notice, tried, up } from './contract.ts'

const capabilities = { smtp: null, shell: true }
const context = contextWith({ capabilities })

/** What a command wrote into its file. */
async function written(t: TestContext, message: Parameters<typeof shell.send>[0], command: (file: string) => string) {
  const file = join(await scratchDir(t), 'out')
  assert.equal(await shell.send(message, { cmd_down: command(file) }, context), 'sent')
  return readFile(file, 'utf8')
}

suite('shell', () => {
  test('shell: a command gets the check in its environment', async (t) => {
    const text = await written(
      t,
      down,
      (file) => `printf '%s|' "$CODE" "$STATUS" "$NOW" "$NAME" "$TAGS" "$TAG1" "$TAG2" "$TITLE" > ${file}`,
    )
    assert.equal(
      text,
      `${down.check.id}|down|2026-11-22T21:10:00+00:00|nightly backup|prod db|prod|db|nightly backup is down|`,
    )
    assert.match(await written(t, down, (file) => `echo "$TEXT" > ${file}`), /exit status 3.*disk full/s)
  })

  test('shell: no text of a check becomes a command', async (t) => {
    const names = [
      '$(touch PWNED)',
      '`touch PWNED`',
      '"; touch PWNED; "',
      "'; touch PWNED; '",
      '\n touch PWNED',
      '$TAG1 $((1+1)) $PATH',
      '&& false',
      '\\" ; exit 1',
    ]
    for (const name of names) {
      const dir = await scratchDir(t)
      const check = changed(down.check, { name, tags: '$(touch\tPWNED) `id`' })
      const text = await written(
        t,
        { ...down, check },
        (file) => `cd ${dir}; printf '%s' "$NAME" > ${file}; test ! -e PWNED`,
      )
      assert.equal(text, name)
    }
  })

  test('shell: a command gets nothing of the environment of the service', async (t) => {
    process.env.FLATLINE_TEST_SECRET = 'T0PSECRET'
    t.after(() => delete process.env.FLATLINE_TEST_SECRET)
    const text = await written(t, down, (file) => `env > ${file}`)
    assert.doesNotMatch(text, /T0PSECRET|DATABASE/)
    assert.match(text, /^PATH=\/usr\/local\/sbin:/m)
  })

  test('shell: each direction has its own command', async (t) => {
    const file = join(await scratchDir(t), 'out')
    const cmd_up = `echo "$STATUS" > ${file}`
    assert.equal(await shell.send(up, { cmd_down: 'false', cmd_up }, context), 'sent')
    assert.equal(await readFile(file, 'utf8'), 'up\n')
    assert.deepEqual(await shell.send(up, { cmd_down: 'true' }, context), { suppressed: 'the channel has no cmd_up' })
    assert.deepEqual(await shell.send(down, { cmd_up }, context), { suppressed: 'the channel has no cmd_down' })
    assert.equal(await shell.send(tried, { cmd_up }, context), 'sent')
    assert.equal(
      await shell.send(notice, { cmd_down: 'test "$TITLE" = "Channel ops was switched off"' }, context),
      'sent',
    )
    assert.equal(shell.problem?.({})?.field, 'cmd_down')
  })
})

suite('answers to shell', () => {
  const outcome = (cmd_down: string, own = context) =>
    shell.send(down, { cmd_down }, own).catch((error: unknown) => error)

  test('shell: exit status 0 is a success', async () => assert.equal(await outcome('exit 0'), 'sent'))

  for (const [command, message] of [
    ['exit 3', /ended with exit status 3$/],
    ['kill -9 $$', /was ended by SIGKILL$/],
    ['no-such-program', /ended with exit status 127$/],
  ] as const) {
    test(`shell: ${command} is retried`, async () => {
      const error = await outcome(command)
      assert.ok(error instanceof DeliveryError && error.retryable && !error.permanent)
      assert.match(error.message, message)
    })
  }

  test('shell: a command that hangs is killed with all that it started', async (t) => {
    const file = join(await scratchDir(t), 'pid')
    const error = await outcome(`sleep 300 & echo $! > ${file}; wait`, contextWith({ capabilities, timeoutMs: 500 }))
    assert.ok(error instanceof DeliveryError && /longer than 500 ms/.test(error.message))
    const pid = Number(await readFile(file, 'utf8'))
    await eventually('the end of the child', () => {
      try {
        process.kill(pid, 0)
        return false
      } catch {
        return true
      }
    })
  })

  test('shell: a command is given up when the process stops', async () => {
    const stopping = new AbortController()
    pause(50).then(() => stopping.abort())
    await assert.rejects(shell.send(down, { cmd_down: 'sleep 300' }, { ...context, signal: stopping.signal }), {
      name: 'AbortError',
    })
  })

  test('shell: the kind does not exist until the operator allows it', async () => {
    assert.match(shell.unavailable?.({ smtp: null, shell: false }) ?? '', /ALLOW_SHELL_CHANNELS/)
    const error = await outcome('exit 0', contextWith())
    assert.ok(error instanceof DeliveryError && error.retryable && /switched off/.test(error.message))
  })
})
