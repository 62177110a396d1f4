// Maintenance windows that a file declares: found by name, and changed to what the file has. A file may name checks by
// uuid, slug or name.

import { isDeepStrictEqual } from 'node:util'
import type { Editor } from '../../checks/editing.ts'
import type { CheckWithChannels } from '../../checks/listing-store.ts'
import { AppError } from '../../core/errors.ts'
import { type Maintenance, type MaintenanceDocument, type MaintenanceInput, normalised } from './maintenance.ts'

export type AppliedWindow = {
  index: number
  id: string
  name: string
  action: 'created' | 'updated' | 'unchanged'
  fields: string[]
}

/** Names the definition that was refused. */
export class RefusedWindow extends AppError {
  readonly index: number
  constructor(index: number, { code, message, field }: AppError) {
    super(code, message, field === undefined ? {} : { field })
    this.index = index
  }
}

export type MaintenanceDefinitions = ReturnType<typeof createMaintenanceDefinitions>

export function createMaintenanceDefinitions(options: {
  maintenance: Pick<Maintenance, 'create' | 'replace' | 'list'>
  /** The checks of a project whose uuid, slug or name is one of these words. */
  named: (projectId: string, words: ReadonlySet<string>) => Promise<CheckWithChannels[]>
}) {
  const { maintenance, named } = options

  async function take(
    caller: Editor,
    input: MaintenanceInput,
    before: MaintenanceDocument | undefined,
  ): Promise<Omit<AppliedWindow, 'index'>> {
    const { name } = input
    if (before === undefined) {
      const { id } = await maintenance.create(caller, input)
      return { id, name, action: 'created', fields: [] }
    }
    const { id, open: _now, ...is } = before
    const fields = differences(is, normalised(input))
    if (fields.length > 0) await maintenance.replace(caller, id, input)
    return { id, name, action: fields.length > 0 ? 'updated' : 'unchanged', fields }
  }

  return {
    /** Throws RefusedWindow; the caller's transaction is then rolled back. Also returns the windows that no definition names. */
    async apply(
      caller: Editor,
      definitions: readonly MaintenanceInput[],
    ): Promise<{ applied: AppliedWindow[]; extra: MaintenanceDocument[] }> {
      const existing: MaintenanceDocument[] = []
      for await (const page of maintenance.list(caller.projectId)) existing.push(...page)
      const byName = Map.groupBy(existing, ({ name }) => name)
      const words = new Set(definitions.flatMap(({ checks = [] }) => checks))
      const idOf = checkFinder(await named(caller.projectId, words))
      const applied: AppliedWindow[] = []
      for (const [index, definition] of definitions.entries()) {
        try {
          const found = byName.get(definition.name) ?? []
          if (found.length > 1) throw refused('name', 'several maintenance windows have this name')
          const { checks } = definition
          const input = checks === undefined ? definition : { ...definition, checks: [...new Set(checks.map(idOf))] }
          applied.push({ index, ...(await take(caller, input, found[0])) })
        } catch (error) {
          throw error instanceof AppError && error.code !== 'unavailable' ? new RefusedWindow(index, error) : error
        }
      }
      const meant = new Set(applied.map(({ id }) => id))
      return { applied, extra: existing.filter(({ id }) => !meant.has(id)) }
    },
  }
}

/** The id of the one check with this uuid, else with this slug, else with this name. */
function checkFinder(checks: readonly CheckWithChannels[]): (word: string) => string {
  const ids = new Set(checks.map(({ id }) => id))
  const bySlug = Map.groupBy(checks, ({ settings }) => settings.slug)
  const byName = Map.groupBy(checks, ({ settings }) => settings.name)
  return (word) => {
    const found = ids.has(word) ? [{ id: word }] : (bySlug.get(word) ?? byName.get(word) ?? [])
    const [one] = found
    if (one !== undefined && found.length === 1) return one.id
    throw refused('checks', `${found.length === 0 ? 'names no check' : 'names several checks'}: ${word.slice(0, 100)}`)
  }
}

function differences(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  const sorted = (value: unknown) => (Array.isArray(value) ? [...value].sort() : value)
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (field) => !isDeepStrictEqual(sorted(before[field]), sorted(after[field])),
  )
}

const refused = (field: string, rule: string) => new AppError('bad_request', `${field} ${rule}`, { field })
