// Makes the database agree with what a file or the environment declares, in one transaction: everything is applied, or
// nothing. One replica at a time applies, so the second of two that start at once finds nothing to do. What is declared
// wins over what people have changed meanwhile; what is not declared stays.

import { setTimeout as sleep } from 'node:timers/promises'
import { provisionProject } from '../accounts/provisioning.ts'
import type { WriteAudit } from '../audit/store.ts'
import { type ChannelDefinitions, RefusedChannel } from '../channels/definitions.ts'
import type { Checks } from '../checks/service.ts'
import { AppError } from '../core/errors.ts'
import type { Queryable } from '../database/connection/client.ts'
import type { DatabaseSession } from '../database/service.ts'
import { type MaintenanceDefinitions, RefusedWindow } from '../notifications/suppression/maintenance-definitions.ts'
import type { DeclaredProject } from './declared.ts'
import { describe } from './describe.ts'
import { createDrift, type Drift, type LastChange, provisioner } from './drift.ts'
import { fieldOf, ProvisionError, ruleOf } from './file.ts'
import { tryLock } from './store.ts'

export type ProvisionedKind = 'project' | 'keys' | 'channel' | 'check' | 'maintenance'

/** `extra`: it exists, and the file does not have it. `fields` are those that differ. */
export type ProvisionedItem = {
  project: string
  kind: ProvisionedKind
  name: string
  id: string
  action: 'created' | 'updated' | 'unchanged' | 'extra'
  fields: string[]
  /** By whom and when it was last changed, if not by a file. */
  drift: LastChange | null
}

export type Provisioned = {
  items: ProvisionedItem[]
  /** By project: the channels of checks whose creator names none. */
  defaultChannels: Map<string, string[]>
  /** Those of the channels that variables of the environment declare. */
  shortcuts: string[]
}

/** The services of other modules, in one transaction. */
export type ProvisioningParts = {
  channels: ChannelDefinitions
  checks: ReturnType<Checks['definitionsWithin']>
  maintenance: MaintenanceDefinitions
}

const retryMs = 200

export function createProvisioning(options: {
  database: Pick<DatabaseSession, 'transaction'>
  writeAudit: WriteAudit
  parts: (tx: Queryable, defaultChannels: (projectId: string) => readonly string[]) => ProvisioningParts
}) {
  const { database, writeAudit, parts } = options

  async function applyIn(tx: Queryable, projects: readonly DeclaredProject[]) {
    const defaultChannels = new Map<string, string[]>()
    const bound = parts(tx, (projectId) => defaultChannels.get(projectId) ?? [])
    const drift = await createDrift(tx)
    const items: ProvisionedItem[] = []
    const shortcuts: string[] = []
    const work = { tx, bound, drift, defaultChannels, shortcuts }
    for (const project of projects) items.push(...(await applyProject(work, project)))
    return { items, defaultChannels, shortcuts, committed: bound.checks.committed }
  }

  async function applyProject({ tx, bound, drift, defaultChannels, shortcuts }: Work, project: DeclaredProject) {
    const { name, at, keys, channels, checks, maintenance } = project
    const made = await provisionProject(tx, { by: { actor: provisioner }, name, keys, writeAudit }).catch((error) =>
      refuse(error, at),
    )
    const caller = { actor: provisioner, projectId: made.id }
    const doneChannels = await bound.channels
      .apply(
        caller,
        channels.map(({ definition }) => definition),
      )
      .catch((error) => refuse(error, error instanceof RefusedChannel ? channels[error.index]?.at : at))
    const isDefault = (index: number) => channels[index]?.definition.isDefault
    const defaults = doneChannels.applied.flatMap(({ index, id }) => (isDefault(index) ? [id] : []))
    if (defaults.length > 0) defaultChannels.set(made.id, defaults)
    shortcuts.push(...doneChannels.applied.flatMap(({ index, id }) => (channels[index]?.isShortcut ? [id] : [])))
    const read = checks.map(({ definition }) => ({ definition }))
    const doneChecks = (await bound.checks.apply(caller, read, { dryRun: false, prune: false })).results
    const failed = doneChecks.find(({ action }) => action === 'failed')
    if (failed) throw new ProvisionError(`${checks[failed.index ?? 0]?.at() ?? at()}: ${failed.error}`)
    const doneWindows = await bound.maintenance
      .apply(
        caller,
        maintenance.map(({ definition }) => definition),
      )
      .catch((error) => refuse(error, error instanceof RefusedWindow ? maintenance[error.index]?.at : at))
    const extraChecks = project.complete.checks ? await checksBeyond(bound, made.id, doneChecks) : []
    const done = { project: made, channels: doneChannels, checks: doneChecks, extraChecks, maintenance: doneWindows }
    return drift.explain(made, describe(project, done))
  }

  return {
    /** Returns null if the process stops before it is this replica's turn. A dry run changes nothing. */
    async apply(
      projects: readonly DeclaredProject[],
      { dryRun = false, signal }: { dryRun?: boolean; signal: AbortSignal },
    ): Promise<Provisioned | null> {
      while (!signal.aborted) {
        const outcome = await database
          .transaction(async (tx) => {
            if (!(await tryLock(tx))) return null
            const done = await applyIn(tx, projects)
            if (dryRun) throw new DryRun(done)
            return done
          })
          .catch((error) => {
            if (error instanceof DryRun) return error.outcome
            throw error
          })
        if (outcome === null) {
          await sleep(retryMs, undefined, { signal }).catch(() => undefined)
          continue
        }
        const { committed, ...provisioned } = outcome
        if (!dryRun) committed()
        return provisioned
      }
      return null
    },
  }
}

type Work = { tx: Queryable; bound: ProvisioningParts; drift: Drift } & Pick<
  Provisioned,
  'defaultChannels' | 'shortcuts'
>

/** Rolls the transaction back. */
class DryRun extends Error {
  readonly outcome: Provisioned & { committed: () => void }
  constructor(outcome: Provisioned & { committed: () => void }) {
    super('dry run')
    this.outcome = outcome
  }
}

async function checksBeyond(
  { checks }: ProvisioningParts,
  projectId: string,
  done: readonly { uuid: string | null }[],
) {
  const meant = new Set(done.map(({ uuid }) => uuid))
  const extra: { id: string; name: string }[] = []
  for await (const page of checks.pages(projectId, { tags: [], slug: null }, null, false))
    for (const { id, settings } of page) if (!meant.has(id)) extra.push({ id, name: settings.name || settings.slug })
  return extra
}

/** What is wrong with the file, and where; any other error as it is. */
function refuse(error: unknown, at: DeclaredProject['at'] = () => ''): never {
  if (!(error instanceof AppError) || error.code === 'unavailable') throw error
  throw new ProvisionError(`${at(...fieldOf(error))}${error.field ? '' : ':'} ${ruleOf(error)}`)
}
