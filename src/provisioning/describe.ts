// What was done to one project, as a list.

import type { ProvisionedProject } from '../accounts/provisioning.ts'
import type { ChannelDefinitions } from '../channels/definitions.ts'
import type { AppliedCheck } from '../checks/definitions/applying.ts'
import type { MaintenanceDefinitions } from '../notifications/suppression/maintenance-definitions.ts'
import type { DeclaredProject } from './declared.ts'
import type { ProvisionedItem, ProvisionedKind } from './service.ts'

type NamedObject = { id: string; name: string }

export type DoneProject = {
  project: ProvisionedProject
  channels: Awaited<ReturnType<ChannelDefinitions['apply']>>
  checks: readonly AppliedCheck[]
  extraChecks: readonly NamedObject[]
  maintenance: Awaited<ReturnType<MaintenanceDefinitions['apply']>>
}

export function describe({ name, complete }: DeclaredProject, done: DoneProject): ProvisionedItem[] {
  const item = (
    kind: ProvisionedKind,
    one: NamedObject,
    action: ProvisionedItem['action'],
    fields: string[] = [],
  ): ProvisionedItem => ({ project: name, kind, name: one.name, id: one.id, action, fields, drift: null })
  const extra = (kind: ProvisionedKind, all: readonly NamedObject[], isComplete: boolean) =>
    isComplete ? all.map((one) => item(kind, one, 'extra')) : []
  const { project, channels, checks, maintenance } = done
  const itself = { id: project.id, name }
  return [
    item('project', itself, project.created ? 'created' : 'unchanged'),
    ...(project.keys.length > 0 ? [item('keys', itself, 'updated', project.keys)] : []),
    ...channels.applied.map((one) => item('channel', one, one.action, one.fields)),
    ...extra('channel', channels.extra, complete.channels),
    ...checks.map(({ uuid, name, action, changes }) =>
      item(
        'check',
        { id: uuid ?? '', name },
        action as ProvisionedItem['action'],
        action === 'updated' ? Object.keys(changes?.after ?? {}) : [],
      ),
    ),
    ...extra('check', done.extraChecks, complete.checks),
    ...maintenance.applied.map((one) => item('maintenance', one, one.action, one.fields)),
    ...extra('maintenance', maintenance.extra, complete.maintenance),
  ]
}
