// What a file or the environment declares, once it has been read.

import type { Keys } from '../accounts/service.ts'
import type { ChannelDefinition } from '../channels/definitions.ts'
import type { Definition } from '../checks/definitions/definition.ts'
import type { MaintenanceInput } from '../notifications/suppression/maintenance.ts'

type Declared<T> = { definition: T; at: Place; isShortcut?: true }

/** Says where a part of it is written. */
type Place = (...path: (string | number)[]) => string

export type DeclaredProject = {
  name: string
  at: Place
  keys: Partial<Keys>
  channels: Declared<ChannelDefinition>[]
  checks: Declared<Definition>[]
  maintenance: Declared<MaintenanceInput>[]
  /** The lists that the file has. Objects of the project that are in none of them are extra. */
  complete: { channels: boolean; checks: boolean; maintenance: boolean }
}

/** The channels that variables of the environment declare, in the default project. */
export function withShortcuts(
  projects: readonly DeclaredProject[],
  { slackWebhookUrl, pagerdutyKey }: { slackWebhookUrl?: string | undefined; pagerdutyKey?: string | undefined },
): DeclaredProject[] {
  const channels = [
    slackWebhookUrl === undefined ? [] : shortcut('SLACK_WEBHOOK_URL', 'slack', { url: slackWebhookUrl }),
    pagerdutyKey === undefined ? [] : shortcut('PAGERDUTY_KEY', 'pagerduty', { routing_key: pagerdutyKey }),
  ].flat()
  if (channels.length === 0) return [...projects]
  const declared = projects.find(({ name }) => name === 'default') ?? emptyDefault
  const others = projects.filter((project) => project !== declared)
  return [{ ...declared, channels: [...channels, ...declared.channels] }, ...others]
}

/** PagerDuty wakes people up: it gets what is critical, which a check is unless its severity says otherwise. */
function shortcut(variable: string, kind: string, settings: Record<string, string>): Declared<ChannelDefinition> {
  const alerts = kind === 'pagerduty' ? { severities: ['critical' as const] } : null
  const definition = { id: null, kind, name: variable, settings, alerts, isDefault: true }
  return { definition, isShortcut: true, at: (...path) => [variable, ...path].join(' ') }
}

const emptyDefault: DeclaredProject = {
  name: 'default',
  at: () => 'project default',
  keys: {},
  channels: [],
  checks: [],
  maintenance: [],
  complete: { channels: false, checks: false, maintenance: false },
}
