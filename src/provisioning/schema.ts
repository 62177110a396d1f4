// What a provisioning file may contain. Channels, checks and maintenance windows are the documents of the API and of
// definition files; every rule that needs no database is checked here, before the service starts.

import { type TSchema, Type } from 'typebox'
import { Errors } from 'typebox/value'
import { ProjectName } from '../accounts/schema.ts'
import type { Keys } from '../accounts/service.ts'
import { type KeyKind, keyKinds } from '../accounts/store.ts'
import { NewChannel } from '../channels/schema.ts'
import { settingsProblem } from '../channels/settings.ts'
import type { WantedAlerts } from '../channels/wanted-alerts.ts'
import type { Capabilities, Transport } from '../channels/wire/transport.ts'
import { parseDefinition } from '../checks/definitions/definition-schema.ts'
import { isReference, readReference } from '../config/references.ts'
import { AppError } from '../core/errors.ts'
import { Uuid } from '../http/schemas/types.ts'
import { NewMaintenance } from '../notifications/schema.ts'
import { type MaintenanceInput, normalised } from '../notifications/suppression/maintenance.ts'
import type { DeclaredProject } from './declared.ts'
import { fieldOf, type Path, ProvisionError, type ProvisionFile, ruleOf } from './file.ts'

const closed = { additionalProperties: false }
const Text = Type.String({ minLength: 1, maxLength: 200 })
const { escalate: _byId, ...alertProperties } = NewChannel.properties.alerts.properties

/** Other channels and checks are named, or given by id. */
const Channel = Type.Object(
  {
    ...NewChannel.properties,
    id: Type.Optional(Uuid),
    alerts: Type.Optional(
      Type.Object(
        {
          ...alertProperties,
          escalate: Type.Optional(
            Type.Object({ to: Text, after: NewChannel.properties.alerts.properties.escalate.properties.after }, closed),
          ),
        },
        closed,
      ),
    ),
  },
  closed,
)
const Maintenance = Type.Object(
  {
    ...NewMaintenance.properties,
    checks: Type.Optional(Type.Array(Text, { minItems: 1, maxItems: 1000, uniqueItems: true })),
  },
  closed,
)
const Project = Type.Object(
  {
    name: ProjectName,
    keys: Type.Optional(
      Type.Object(Object.fromEntries(keyKinds.map((kind) => [kind, Type.Optional(Type.Unknown())])), closed),
    ),
    channels: Type.Optional(Type.Array(Channel, { maxItems: 1000 })),
    checks: Type.Optional(Type.Array(Type.Unknown(), { maxItems: 10_000 })),
    maintenance: Type.Optional(Type.Array(Maintenance, { maxItems: 1000 })),
  },
  closed,
)
const File = Type.Object({ projects: Type.Array(Project, { minItems: 1, maxItems: 1000 }) }, closed)

const keyForms: Record<KeyKind, [form: RegExp, rule: string]> = {
  api_key: [/^[A-Za-z0-9_-]{32}$/, 'must be exactly 32 characters of A-Z a-z 0-9 _ -'],
  api_key_readonly: [/^[A-Za-z0-9_-]{32}$/, 'must be exactly 32 characters of A-Z a-z 0-9 _ -'],
  ping_key: [/^[A-Za-z0-9_-]{22}$/, 'must be exactly 22 characters of A-Z a-z 0-9 _ -'],
}

type Written = {
  name: string
  keys?: Record<string, unknown>
  channels?: WrittenChannel[]
  checks?: unknown[]
  maintenance?: MaintenanceInput[]
}
type WrittenChannel = {
  id?: string
  kind: string
  name: string
  settings: Record<string, unknown>
  alerts?: WantedAlerts
  checks?: '*'
}

export type ReadOptions = {
  transports: Record<string, Transport>
  capabilities: Capabilities
  /** The keys that the environment gives the default project. */
  bootstrap: Partial<Keys>
}

/** Throws ProvisionError for the first broken rule. */
export function readProjects(file: ProvisionFile, options: ReadOptions): DeclaredProject[] {
  const fail = failing(file)
  requireSchema(file.value, fail)
  const { projects } = file.value as { projects: Written[] }
  const names = uniqueNames('project of this file', fail)
  const keys = new Map<string, string>()
  return projects.map((project, index) => {
    const path: Path = ['projects', index]
    names(project.name, path)
    return readProject(project, path, { file, fail, keys, options })
  })
}

type Fail = (path: Path, rule: string) => never
type ReadingProject = { file: ProvisionFile; fail: Fail; keys: Map<string, string>; options: ReadOptions }

const failing =
  ({ place }: ProvisionFile): Fail =>
  (path, rule) => {
    throw new ProvisionError(`${place(path)} ${rule}`)
  }

function readProject(written: Written, path: Path, reading: ReadingProject): DeclaredProject {
  const { file, fail, options } = reading
  const { name, channels, checks, maintenance } = written
  const at = (...below: Path) => file.place([...path, ...below])
  const channelNames = uniqueNames('channel of this project', fail)
  const windowNames = uniqueNames('maintenance window of this project', fail)
  return {
    name,
    at,
    keys: readKeys(written, path, reading),
    channels: (channels ?? []).map((channel, index) => {
      const here = [...path, 'channels', index]
      channelNames(channel.name, here)
      const settings = resolved(channel, here, reading)
      return {
        definition: readChannel({ ...channel, settings }, here, fail, options),
        at: (...below) => at('channels', index, ...below),
      }
    }),
    checks: (checks ?? []).map((check, index) => {
      const here = [...path, 'checks', index]
      return {
        definition: refusing(fail, here, () => parseDefinition(check)),
        at: (...below) => at('checks', index, ...below),
      }
    }),
    maintenance: (maintenance ?? []).map((window, index) => {
      const here = [...path, 'maintenance', index]
      windowNames(window.name, here)
      refusing(fail, here, () => normalised(window))
      return { definition: window, at: (...below) => at('maintenance', index, ...below) }
    }),
    complete: {
      channels: channels !== undefined,
      checks: checks !== undefined,
      maintenance: maintenance !== undefined,
    },
  }
}

/** A project that has two keys of the same value could not tell them apart. */
function readKeys(
  { name, keys: written = {} }: Written,
  path: Path,
  { fail, keys, options }: ReadingProject,
): Partial<Keys> {
  const read: Partial<Keys> = {}
  for (const kind of keyKinds) {
    if (written[kind] === undefined) continue
    const here = [...path, 'keys', kind]
    const key = textOf(written[kind], here, fail)
    const [form, rule] = keyForms[kind]
    if (!form.test(key)) fail(here, rule)
    const other = keys.get(key)
    if (other !== undefined) fail(here, `has the same value as ${other}`)
    keys.set(key, `${kind} of project ${name}`)
    const fromEnvironment = name === 'default' ? options.bootstrap[kind] : undefined
    if (fromEnvironment !== undefined && fromEnvironment !== key)
      fail(here, `differs from BOOTSTRAP_${kind.toUpperCase()}, which sets the same key; keep one of them`)
    read[kind] = key
  }
  return read
}

function readChannel(written: WrittenChannel, path: Path, fail: Fail, { transports, capabilities }: ReadOptions) {
  const { id = null, kind, name, settings, alerts = null, checks } = written
  const transport = Object.hasOwn(transports, kind) ? transports[kind] : undefined
  if (transport === undefined)
    return fail([...path, 'kind'], `must be one of ${Object.keys(transports).sort().join(', ')}`)
  const unavailable = transport.unavailable?.(capabilities)
  if (unavailable !== undefined) fail([...path, 'kind'], `${kind} ${unavailable}`)
  // Members of a group may be named, which needs the database.
  const problem = transport.channels ? undefined : settingsProblem(transport, settings)
  if (problem) fail([...path, 'settings', ...problem.field.split('.').filter(Boolean)], problem.rule)
  return { id, kind, name, settings, alerts, isDefault: checks === '*' }
}

/** Settings with the secrets that they refer to. A setting that is a mapping itself, such as headers, is no reference. */
function resolved(
  { kind, settings }: WrittenChannel,
  path: Path,
  { fail, options }: ReadingProject,
): Record<string, unknown> {
  const { properties = {} } = (options.transports[kind]?.settings ?? {}) as { properties?: Record<string, TSchema> }
  const entries = Object.entries(settings).map(([field, value]) => {
    const isMapping = (properties[field] as { type?: string } | undefined)?.type === 'object'
    const here = [...path, 'settings', field]
    if (!isMapping) return [field, filled(value, here, fail)]
    if (typeof value !== 'object' || value === null) return [field, value]
    const inner = Object.entries(value).map(([name, text]) => [name, filled(text, [...here, name], fail)])
    return [field, Object.fromEntries(inner)]
  })
  return Object.fromEntries(entries)
}

const filled = (value: unknown, path: Path, fail: Fail) => (isReference(value) ? textOf(value, path, fail) : value)

function textOf(value: unknown, path: Path, fail: Fail): string {
  if (typeof value === 'string') return value
  if (!isReference(value)) return fail(path, 'must be a string, { env: NAME } or { file: /path }')
  const read = readReference(value)
  return 'problem' in read ? fail(path, read.problem) : read.value
}

function requireSchema(value: unknown, fail: Fail): void {
  const isMapping = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isMapping) fail([], 'must be a mapping that begins with "projects:"')
  for (const name of Object.keys(value as object))
    if (name.startsWith('x-')) Reflect.deleteProperty(value as object, name)
  // An unknown field is reported twice, and the less helpful message comes first.
  const error = Errors(File, value).find(({ keyword }) => keyword !== 'boolean')
  if (error === undefined) return
  const path = error.instancePath.split('/').slice(1).map(pathPart)
  const { additionalProperties, requiredProperties, allowedValues } = error.params as Record<
    string,
    string[] | undefined
  >
  if (additionalProperties) fail([...path, additionalProperties[0] ?? ''], 'is not a known field')
  if (requiredProperties) fail([...path, requiredProperties[0] ?? ''], 'is required')
  fail(path, allowedValues ? `must be one of ${allowedValues.join(', ')}` : error.message)
}

const pathPart = (part: string) =>
  /^\d+$/.test(part) ? Number(part) : part.replaceAll('~1', '/').replaceAll('~0', '~')

function uniqueNames(what: string, fail: Fail): (name: string, path: Path) => void {
  const seen = new Set<string>()
  return (name, path) => {
    if (seen.has(name)) fail([...path, 'name'], `is the name of another ${what}`)
    seen.add(name)
  }
}

function refusing<T>(fail: Fail, path: Path, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return fail([...path, ...fieldOf(error)], ruleOf(error))
  }
}
