// Changes a project's checks to what a document says, check by check. A refused check does not affect the others.
// Applying a document twice has the same result as applying it once.

import { randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { selectRetiredChecks } from '../../accounts/retired-addresses-store.ts'
import { AppError } from '../../core/errors.ts'
import type { DatabaseSession } from '../../database/service.ts'
import type { createEditing, Editor } from '../editing.ts'
import { selectOwners } from '../listing-store.ts'
import type { CheckReader } from '../reading.ts'
import { channelFinder, type FindChannels } from '../relations/channel-names.ts'
import { selectChannelIds, selectChannelNames } from '../relations/channels-store.ts'
import {
  changesOfStep,
  type Definition,
  type DefinitionDocument,
  type Existing,
  orderByParents,
  type PlannedStep,
  planSteps,
  type RefusedDefinition,
  toDefinition,
} from './definition.ts'

type ApplyAction = 'created' | 'updated' | 'unchanged' | 'deleted' | 'failed'

/** `index` is the position in the document, null for a check that is deleted because no document names it. */
export type AppliedCheck = {
  index: number | null
  uuid: string | null
  name: string
  action: ApplyAction
  changes?: { before: Record<string, unknown>; after: Record<string, unknown> }
  error?: string
}

export type ApplyAnswer = {
  results: AppliedCheck[]
  summary: Record<ApplyAction, number>
  dry_run: boolean
  pruned: boolean
}

type How = { dryRun: boolean; findChannels: FindChannels }

/** Each check is a transaction of its own; this many run in parallel. */
const atOnceDefault = 8
/** Steps between two pauses in which the event loop can do other work. */
const turnEvery = 100

export function createApplying(options: {
  database: DatabaseSession
  reading: Pick<CheckReader, 'pages' | 'named' | 'now'>
  editing: Pick<ReturnType<typeof createEditing>, 'create' | 'update' | 'pause' | 'resume' | 'remove'>
  /** 1 if they share a transaction. */
  atOnce?: number
}) {
  const { database, reading, editing, atOnce = atOnceDefault } = options

  /** Loads the checks that a definition may name or refer to; a project may have many more. */
  async function candidatesOf(projectId: string, definitions: readonly Definition[]): Promise<Existing[]> {
    const words = definitions.flatMap(({ uuid, parent, settings }) => [uuid, parent, settings.slug, settings.name])
    return reading.named(projectId, new Set(words.flatMap((word) => word || [])))
  }

  async function take(
    caller: Editor,
    step: PlannedStep,
    { dryRun, findChannels }: How,
  ): Promise<Omit<AppliedCheck, 'index' | 'name'>> {
    const { uuid, before, definition } = step
    const channelIds = definition.channels && findChannels(definition.channels)
    const had = channelIds && before ? await selectChannelIds(database, before.id) : []
    const { settings, changes, channels, pause, resume } = changesOfStep(step, { had, has: channelIds })
    const isChanged = Object.keys(changes.after).length > 0
    const action = before === null ? 'created' : isChanged ? 'updated' : 'unchanged'
    const result = { uuid, action, ...(isChanged && { changes }) } as const
    if (dryRun || action === 'unchanged') return result
    const input = { settings, channels: channels || before === null ? channelIds : undefined, match: null }
    if (before === null)
      await editing.create(caller, input, { id: uuid, badgeKey: definition.badgeKey ?? randomUUID() })
    else if (Object.keys(settings).length > 0 || channels) await editing.update(caller, uuid, input)
    if (pause) await editing.pause(caller, uuid)
    if (resume) await editing.resume(caller, uuid)
    return result
  }

  /** Takes steps whose parents come earlier. Independent steps run in parallel. */
  async function takeAll(caller: Editor, steps: readonly PlannedStep[], how: How): Promise<AppliedCheck[]> {
    const results: AppliedCheck[] = []
    for (let at = 0; at < steps.length; ) {
      const group = groupAt(steps, at, atOnce)
      at += group.length
      const taken = group.map(async (step): Promise<AppliedCheck> => {
        const { index, definition } = step
        const about = { index, name: definition.settings.name }
        try {
          return { ...about, ...(await take(caller, step, how)) }
        } catch (error) {
          if (!(error instanceof AppError) || error.code === 'unavailable') throw error
          return { ...about, uuid: null, action: 'failed', error: error.message }
        }
      })
      results.push(...(await Promise.all(taken)))
      // A dry run awaits no query, and would block the event loop.
      if (results.length % turnEvery < group.length) await turn()
    }
    return results
  }

  /**
   * A uuid is the credential of one check: a uuid that another project has or had is refused, both with the same text.
   */
  async function refuseForeign(projectId: string, steps: readonly PlannedStep[]): Promise<RefusedDefinition[]> {
    const created = steps.filter(({ before, definition }) => before === null && definition.uuid !== null)
    const ids = created.map(({ uuid }) => uuid)
    const owners = await selectOwners(database, ids)
    const former = await selectRetiredChecks(database, ids)
    return created.flatMap(({ index, uuid }) => {
      const owner = owners.get(uuid) ?? former.get(uuid)
      return owner === undefined || owner === projectId ? [] : [{ index, error: 'uuid is taken by another project' }]
    })
  }

  /** Deletes only checks that existed at the beginning: a check that was created meanwhile is not in the document. */
  async function prune(
    caller: Editor,
    meant: ReadonlySet<string | null>,
    { since, dryRun }: { since: number; dryRun: boolean },
  ): Promise<AppliedCheck[]> {
    const results: AppliedCheck[] = []
    for await (const page of reading.pages(caller.projectId, { tags: [], slug: null }, null, false)) {
      for (const { id, settings } of page.filter(({ id, createdAt }) => createdAt <= since && !meant.has(id))) {
        if (!dryRun) await editing.remove(caller, id)
        results.push({ index: null, uuid: id, name: settings.name, action: 'deleted' })
      }
    }
    return results
  }

  return {
    /** All checks of a project as definitions, page by page. */
    async *definitions(projectId: string): AsyncGenerator<DefinitionDocument[], void, undefined> {
      const channels = await selectChannelNames(database, projectId)
      const byName = Map.groupBy(channels, ({ name }) => name)
      const names = new Map(
        channels.filter(({ name }) => byName.get(name)?.length === 1).map(({ id, name }) => [id, name]),
      )
      for await (const page of reading.pages(projectId, { tags: [], slug: null }))
        yield page.map((check) => toDefinition(check, names, reading.now()))
    },

    /**
     * With `prune`, checks without a definition are deleted; not if a definition was refused, because it may name any
     * of them.
     */
    async apply(
      caller: Editor,
      read: readonly ({ definition: Definition } | { name: string; error: string })[],
      { dryRun, prune: wantsPrune }: { dryRun: boolean; prune: boolean },
    ): Promise<ApplyAnswer> {
      const since = reading.now()
      const valid = read.flatMap((one, index) => ('definition' in one ? [{ index, definition: one.definition }] : []))
      const existing = await candidatesOf(
        caller.projectId,
        valid.map(({ definition }) => definition),
      )
      const planned = planSteps(valid, existing, randomUUID)
      const { ordered, refusals } = orderByParents(planned.steps, existing)
      const foreign = await refuseForeign(caller.projectId, ordered)
      const refused = [...planned.refusals, ...refusals, ...foreign]
      const errors = new Map(refused.map(({ index, error }) => [index, error]))
      const taken = await takeAll(
        caller,
        ordered.filter(({ index }) => !errors.has(index)),
        { dryRun, findChannels: channelFinder(await selectChannelNames(database, caller.projectId)) },
      )
      const failures = read.flatMap((one, index): AppliedCheck[] => {
        const error = 'error' in one ? one.error : errors.get(index)
        const name = 'error' in one ? one.name : one.definition.settings.name
        return error === undefined ? [] : [{ index, uuid: null, name, action: 'failed', error }]
      })
      const results = [...taken, ...failures].sort((a, b) => (a.index ?? 0) - (b.index ?? 0))
      const canPrune = wantsPrune && results.every(({ action }) => action !== 'failed')
      if (canPrune) results.push(...(await prune(caller, new Set(results.map(({ uuid }) => uuid)), { since, dryRun })))
      return { results, summary: summaryOf(results), dry_run: dryRun, pruned: canPrune }
    },
  }
}

/** The steps from `at` on that can run in parallel: up to the first one whose parent is among them. */
function groupAt(steps: readonly PlannedStep[], at: number, atOnce: number): PlannedStep[] {
  const group: PlannedStep[] = []
  for (const step of steps.slice(at, at + atOnce)) {
    if (group.some(({ uuid }) => uuid === step.parentId)) break
    group.push(step)
  }
  return group
}

function summaryOf(results: readonly AppliedCheck[]): Record<ApplyAction, number> {
  const summary: Record<ApplyAction, number> = { created: 0, updated: 0, unchanged: 0, deleted: 0, failed: 0 }
  for (const { action } of results) summary[action]++
  return summary
}
