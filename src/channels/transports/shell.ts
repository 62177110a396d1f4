// A command on the machine of Flatline, off unless the operator allows it. The facts about the check are in the
// command's environment and never in its text, so no output of a job can become a command. The environment of Flatline
// itself, which contains secrets, is not passed on.

import { spawn } from 'node:child_process'
import { type Static, Type } from 'typebox'
import { messageOf, plain } from '../../messages/markup.ts'
import type { Message } from '../../messages/message.ts'
import { placeholdersOf } from '../../messages/placeholders.ts'
import { alertFor } from '../wire/http-transport.ts'
import { type Capabilities, DeliveryError, type SettingsProblem, type Transport } from '../wire/transport.ts'

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const tagsMax = 20

const Command = Type.Optional(Type.String({ maxLength: 1000, pattern: '^[^\\u0000]*$', rule: 'must not contain NUL' }))

const Settings = Type.Object({ cmd_down: Command, cmd_up: Command }, { additionalProperties: false })

const unavailable = ({ shell }: Capabilities) =>
  shell ? undefined : 'is switched off by the operator of this service (ALLOW_SHELL_CHANNELS)'

export const shell: Transport<Static<typeof Settings>> = {
  kind: 'shell',
  category: 'custom',
  settings: Settings,
  unavailable,

  problem: ({ cmd_down, cmd_up }): SettingsProblem | undefined =>
    cmd_down || cmd_up ? undefined : { field: 'cmd_down', rule: 'is required, or cmd_up' },

  async send(message, settings, context) {
    const { capabilities, signal, timeoutMs, beforeSend } = context
    if (!capabilities.shell) throw new DeliveryError(`shell ${unavailable(capabilities)}`, { retryable: true })
    const up = message.event === 'up' || (message.event === 'test' && !settings.cmd_down)
    const direction = up ? 'up' : 'down'
    const command = settings[`cmd_${direction}`]
    if (!command) return { suppressed: `the channel has no cmd_${direction}` }
    const alert = alertFor(message, {}, context)
    const env = { PATH: path, TITLE: alert.title, TEXT: messageOf(alert, plain), ...checkVariables(message, direction) }
    beforeSend()
    await run(command, env, signal, timeoutMs)
    return 'sent'
  },
}

function checkVariables(message: Message, direction: 'down' | 'up'): Record<string, string> {
  if (message.event === 'notice') return {}
  const fill = placeholdersOf(message, direction).body
  const names = ['CODE', 'STATUS', 'NOW', 'NAME', 'TAGS', ...Array.from({ length: tagsMax }, (_, i) => `TAG${i + 1}`)]
  const variables = names.map((name) => [name, fill(`$${name}`).replaceAll('\0', '')] as const)
  return Object.fromEntries(variables.filter(([name, value]) => value !== `$${name}`))
}

/** The time-out kills the command and all that it started. */
async function run(
  command: string,
  env: Record<string, string>,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<void> {
  const timeout = AbortSignal.timeout(timeoutMs)
  const giveUp = AbortSignal.any([signal, timeout])
  giveUp.throwIfAborted()
  const child = spawn('/bin/sh', ['-c', command], { cwd: '/', env, detached: true, stdio: 'ignore' })
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Already ended.
    }
  }
  giveUp.addEventListener('abort', end, { once: true })
  try {
    const { code, killedBy } = await new Promise<{ code: number | null; killedBy: string | null }>(
      (resolve, reject) => {
        child.once('error', reject).once('exit', (status, name) => resolve({ code: status, killedBy: name }))
      },
    )
    signal.throwIfAborted()
    if (timeout.aborted) throw new DeliveryError(`the command took longer than ${timeoutMs} ms`, { retryable: true })
    if (code === 0) return
    const how = code === null ? `was ended by ${killedBy}` : `ended with exit status ${code}`
    throw new DeliveryError(`the command ${how}`, { retryable: true })
  } finally {
    giveUp.removeEventListener('abort', end)
  }
}
