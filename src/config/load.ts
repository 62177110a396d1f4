// The only reader of the environment and of the profile files. Later layers win: built-in defaults,
// config/<profile>.yaml, the environment. It throws only after it has checked everything, so that one start reports
// every mistake.
import { readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseDocument } from 'yaml'
import { profileMaxBytes, readConfigFile, secretMaxBytes } from './files.ts'
import { rules, sharedSecrets } from './rules.ts'
import { type Config, configSchema, type Setting, settings } from './schema.ts'
import { readValue } from './values.ts'

export type { Config } from './schema.ts'

export type ConfigSource = {
  env?: Record<string, string | undefined>
  /** Relative paths, DATA_DIR and files of secrets start here. */
  cwd?: string
  profileDir?: string
}

/** `problems` has one line for each mistake; a line starts with the name of the variable or file it is about. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`invalid configuration\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/** The version of package.json, for logs and metrics. */
export const version: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version

/** Whether `npm start` started the process; this is not a setting. */
export const startedByNpm = (): boolean => process.env.npm_lifecycle_event === 'start'

export function loadConfig(source: ConfigSource = {}): Config {
  return resolveConfig(source).config
}

/** `origins` has the source of every setting by its path: `default`, the profile file or the variable. */
export function resolveConfig(source: ConfigSource = {}): { config: Config; origins: ReadonlyMap<string, string> } {
  const { env = process.env, cwd = process.cwd(), profileDir = defaultProfileDir } = source
  const draft = createDraft(cwd)
  readEnvironment(draft, env, cwd)
  if (!draft.failed.has('environment')) readProfile(draft, profileDir)
  const config = assemble(draft)
  checkRules(draft, config)
  if (draft.problems.length > 0) throw new ConfigError(draft.problems)
  return { config: deepFreeze(config), origins: draft.origins }
}

const defaultProfileDir = fileURLToPath(new URL('../../config', import.meta.url))

type Draft = {
  values: Map<string, unknown>
  origins: Map<string, string>
  failed: Set<string>
  problems: string[]
  take(setting: Setting, written: unknown, origin: string, name: string): void
}

function createDraft(cwd: string): Draft {
  const values = new Map<string, unknown>()
  const origins = new Map(settings.map(({ path }) => [path, 'default']))
  const failed = new Set<string>()
  const problems: string[] = []
  for (const { path, schema } of settings) values.set(path, schema.default)
  values.set('server.dataDir', resolve(cwd, String(values.get('server.dataDir'))))
  return {
    values,
    origins,
    failed,
    problems,
    take(setting, written, origin, name) {
      const reading = readValue(setting, written, cwd)
      origins.set(setting.path, origin)
      if ('value' in reading) values.set(setting.path, reading.value)
      else {
        failed.add(setting.path)
        problems.push(`${name}: ${reading.problem}`)
      }
    },
  }
}

function readEnvironment(draft: Draft, env: Record<string, string | undefined>, cwd: string) {
  for (const setting of settings) {
    const found = [setting.alias, setting.variable]
      .filter((name) => name !== undefined)
      .flatMap((name) => written(draft, setting, name, env, cwd))
    const [first, second] = found
    if (!first || draft.failed.has(setting.path)) continue
    if (second && second.text !== first.text) {
      draft.failed.add(setting.path)
      draft.problems.push(`${first.name}: differs from ${second.name}, which sets the same key; keep one of them`)
    } else draft.take(setting, first.text, first.name, first.name)
  }
  const known = new Set(
    settings.flatMap(({ variable, secret }) => (secret ? [variable, `${variable}_FILE`] : [variable])),
  )
  const isUnknown = (name: string, text: string) =>
    name.startsWith('FLATLINE_') && !known.has(name) && !ofTools.includes(name) && !ofServices.test(`${name}=${text}`)
  for (const [name, text] of Object.entries(env)) {
    if (!text || !isUnknown(name, text)) continue
    draft.problems.push(`${name}: unknown setting${suggestion(name, variableSpellings)}`)
  }
}

/** docker-compose.yml, scripts and examples read these from the same environment. */
const ofCompose = ['ADDRESS', 'CERTIFICATES', 'IMAGE', 'PORT', 'REPLICAS', 'TLS_ADDRESS', 'TLS_PORT']
const ofTools = [...ofCompose, 'API_KEY', 'URL'].map((name) => `FLATLINE_${name}`)

/** Kubernetes sets these in each pod for every service whose name begins with flatline. */
const ofServices =
  /^FLATLINE_([A-Z0-9]+_)*(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)=|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=|PORT=(tcp|udp|sctp):)/

function written(draft: Draft, setting: Setting, name: string, env: Record<string, string | undefined>, cwd: string) {
  const text = env[name]
  const fileName = `${name}_FILE`
  const file = setting.secret ? env[fileName] : undefined
  const refuse = (problem: string) => {
    draft.failed.add(setting.path)
    draft.problems.push(problem)
    return []
  }
  if (text && file) return refuse(`${name}: is set together with ${fileName}; keep one of them`)
  if (text) return [{ name, text }]
  if (!file) return []
  // The path is not quoted: a secret that was put into the _FILE variable by mistake must not appear in a log.
  const content = readConfigFile(resolve(cwd, file), secretMaxBytes)
  if (typeof content !== 'string') return refuse(`${fileName}: the file ${content.problem}`)
  const secret = content.replace(/\r?\n$/, '')
  return secret ? [{ name: fileName, text: secret }] : refuse(`${fileName}: the file is empty`)
}

// The environment was read first and wins: a value of the file is only checked if no variable replaces it.
function readProfile(draft: Draft, profileDir: string) {
  const profile = `${draft.values.get('environment')}.yaml`
  const label = `${basename(profileDir)}/${profile}`
  const text = readConfigFile(join(profileDir, profile), profileMaxBytes)
  if (typeof text !== 'string') {
    draft.problems.push(`${label}: ${text.problem}`)
    return
  }
  // Only code and line: the parser's message quotes the text around the mistake, which may be a secret.
  const document = parseDocument(text)
  const [error] = document.errors
  if (error) {
    draft.problems.push(`${label}: is not valid YAML at line ${error.linePos?.[0].line} (${error.code})`)
    return
  }
  try {
    walkProfile(draft, document.toJS(), [], label)
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause
    draft.problems.push(`${label}: expands its aliases too often`)
  }
}

function walkProfile(draft: Draft, node: unknown, path: string[], label: string) {
  if (node === null || node === undefined || node === '') return
  const here = path.join('.')
  const name = `${label}: ${here}`
  const setting = settings.find((candidate) => candidate.path === here)
  if (here === 'environment') draft.problems.push(`${name} cannot be set in a profile, only by DEPLOYMENT_ENV`)
  else if (setting) {
    if (draft.origins.get(here) === 'default' && !draft.failed.has(here)) draft.take(setting, node, label, name)
  } else if (path.length > 0 && !settings.some((candidate) => candidate.path.startsWith(`${here}.`))) {
    draft.problems.push(`${name} is an unknown setting${suggestion(here, pathSpellings)}`)
  } else if (typeof node !== 'object' || Array.isArray(node)) {
    draft.problems.push(`${path.length > 0 ? name : label} must be a mapping`)
  } else for (const [key, inner] of Object.entries(node)) walkProfile(draft, inner, [...path, key], label)
}

function assemble(draft: Draft): Config {
  const tree: Record<string, unknown> = {}
  for (const [key, section] of Object.entries(configSchema.properties)) if ('properties' in section) tree[key] = {}
  for (const { path } of settings) {
    const [first = '', second] = path.split('.')
    const value = structuredClone(draft.values.get(path))
    if (value === undefined) continue
    if (second === undefined) tree[first] = value
    else (tree[first] as Record<string, unknown>)[second] = value
  }
  return tree as unknown as Config
}

function checkRules(draft: Draft, config: Config) {
  const wellRead = (paths: readonly string[]) => !paths.some((path) => draft.failed.has(path))
  for (const { about, text, broken } of rules) {
    if (wellRead(about) && broken(config)) draft.problems.push(`${nameOf(draft, about)}: ${text}`)
  }
  for (const [path, other] of sharedSecrets(config)) {
    if (wellRead([path, other])) {
      draft.problems.push(
        `${nameOf(draft, [path])}: has the same value as ${nameOf(draft, [other])}; no two secrets may`,
      )
    }
  }
}

// The name that a person wrote, if any: a rule about two settings names the one that is not a default.
function nameOf(draft: Draft, about: readonly string[]): string {
  const path = about.find((candidate) => draft.origins.get(candidate) !== 'default') ?? about[0]!
  const origin = draft.origins.get(path)!
  if (origin === 'default') return settings.find((setting) => setting.path === path)!.name
  return origin.endsWith('.yaml') ? `${origin}: ${path}` : origin
}

type Spelling = { spelled: string; meant: string }

const pathSpellings: Spelling[] = settings.map(({ path }) => ({ spelled: path, meant: path }))
const variableSpellings: Spelling[] = settings.flatMap(({ variable, alias, secret }) => {
  const plain = [variable, ...(alias ? [`FLATLINE__${alias}`] : [])].map((spelled) => ({ spelled, meant: variable }))
  const files = plain.map(({ spelled }) => ({ spelled: `${spelled}_FILE`, meant: `${variable}_FILE` }))
  return secret ? [...plain, ...files] : plain
})

function suggestion(name: string, spellings: Spelling[]): string {
  const plain = (text: string) =>
    text
      .toLowerCase()
      .replaceAll('_', '')
      .replace(/^flatline/, '')
  const editsMax = Math.min(3, Math.ceil(plain(name).length / 4))
  const ranked = spellings
    .map(({ spelled, meant }) => ({ meant, edits: editDistance(plain(name), plain(spelled)) }))
    .sort((a, b) => a.edits - b.edits)
  return ranked[0] && ranked[0].edits <= editsMax ? `; did you mean ${ranked[0].meant}?` : ''
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const replaced = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1))
    }
    previous = current
  }
  return previous[b.length]!
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) deepFreeze(inner)
  return Object.freeze(value)
}
