// `flatline checks list` and the like: finds the row of the table, makes its call, shows the answer.

import { nearest } from '../arguments/nearest.ts'
import { describeOptions, type GivenValues, type Options, parseOptions } from '../arguments/options.ts'
import { CommandError, ServerRefusal, UsageError } from '../errors.ts'
import { connect, type Server } from '../server.ts'
import { findId, readList } from './find.ts'
import { type Output, processOutput, type Row, renderFields, renderTable } from './print.ts'
import { type Resource, resources, type Verb } from './table.ts'

export const resourcesUsage = Object.entries(resources)
  .map(([name, { about, verbs }]) => `  ${name.padEnd(11)}  ${about}: ${Object.keys(verbs).join(', ')}`)
  .join('\n')

const exitStatuses = 'exit status  0 done · 1 refused or not found · 2 wrong usage · 3 Flatline cannot be reached'

const always: Options = {
  json: { kind: 'flag', about: 'print the answer of the API, and errors, as JSON' },
  server: { kind: 'text', about: 'address of Flatline (default: SITE_URL, or HOST and PORT of the configuration)' },
  key: { kind: 'text', about: 'the key; every user of the machine can read it while the command runs' },
  'key-file': { kind: 'text', about: 'reads the key from a file, - for standard input' },
  help: { kind: 'flag', about: 'this text' },
}

/** Returns the exit status. Never throws what its user can cause. */
export async function runResource(
  name: string,
  args: readonly string[],
  output: Output = processOutput(),
): Promise<number> {
  const asJson = args.includes('--json')
  try {
    return await run(name, args, output)
  } catch (error) {
    if (!(error instanceof Error) || !('exitCode' in error || error.name === 'ConfigError')) throw error
    const status = error instanceof CommandError ? error.exitCode : 2
    output.err(asJson ? `${JSON.stringify(errorDocument(error))}\n` : `flatline ${name}: ${explain(error)}\n`)
    return status
  }
}

async function run(name: string, args: readonly string[], output: Output): Promise<number> {
  const resource = resources[name] as Resource
  const [word = '--help', ...rest] = args
  if (['--help', '-h', 'help'].includes(word)) {
    output.out(resourceHelp(name, resource))
    return args.length === 0 ? 2 : 0
  }
  const verb = Object.hasOwn(resource.verbs, word) ? resource.verbs[word] : undefined
  if (verb === undefined) throw unknownVerb(name, word, resource)
  const { values, positionals } = parseOptions(`${name} ${word}`, rest, optionsOf(verb))
  if (values.help) {
    output.out(verbHelp(name, word, resource, verb))
    return 0
  }
  const [given, ...more] = positionals
  const isTooMany = more.length > 0 || (given !== undefined && verb.target === undefined)
  if ((verb.target !== undefined && given === undefined) || isTooMany)
    throw new UsageError(`usage: ${usageLine(name, word, verb)}`)
  if (verb.body && verb.target && fieldsOf(verb.body, values).length === 0)
    throw new UsageError(`nothing to change: give at least one option (flatline ${name} ${word} --help)`)
  if (verb.needsYes && !values.yes) throw new UsageError(`this ${verb.about.replace(/^delete/, 'deletes')}: add --yes`)
  const server = connect(serverValues(values), resource.credential, (text) => output.err(`${text}\n`))
  return execute({ name, resource, verb, server, given, values, output })
}

type Execution = {
  name: string
  resource: Resource
  verb: Verb
  server: Server
  given: string | undefined
  values: GivenValues
  output: Output
}

async function execute({ name, resource, verb, server, given, values, output }: Execution): Promise<number> {
  const [method, pattern] = verb.call
  const id = verb.target === 'id' ? await findId(server, name, resource, given ?? '') : given
  const path = pattern.replace(':id', encodeURIComponent(id ?? '')).replace(':kind', String(values.kind))
  const { list } = verb
  if (list && method === 'GET') {
    const most = list.paged ? (values.limit as number | undefined) : undefined
    const rows = await readList(
      server,
      { path, list: list.name, paged: list.paged === true },
      queryOf(verb, values),
      most,
    )
    const shown = rows.filter((row) => passes(verb, values, row))
    print(output, values, { [list.name]: shown }, () => renderTable(list.columns, shown, output))
    return 0
  }
  const answer = (await server.call(method, path, verb.body && bodyOf(verb, values))) as Row | null
  print(output, values, answer, () => {
    if (answer === null || method === 'DELETE') return `deleted ${given}\n`
    return list ? renderTable(list.columns, answer[list.name] as Row[], output) : renderFields(answer, output)
  })
  return verb.succeeds !== undefined && answer?.[verb.succeeds] !== true ? 1 : 0
}

function print(output: Output, { json }: GivenValues, answer: unknown, render: () => string): void {
  output.out(json ? `${JSON.stringify(answer, null, 2)}\n` : render())
}

function optionsOf(verb: Verb): Options {
  const limit: Options = verb.list?.paged ? { limit: { kind: 'integer', about: 'at most so many' } } : {}
  const yes: Options = verb.needsYes ? { yes: { kind: 'flag', about: 'really' } } : {}
  return { ...verb.query, ...verb.filters, ...verb.body, ...limit, ...yes, ...always }
}

const fieldsOf = (options: Options | undefined, values: GivenValues) =>
  Object.keys(options ?? {})
    .map((option) => option.replaceAll('-', '_'))
    .filter((field) => values[field] !== undefined)

/** Options whose name is a part of the path are not repeated in the body. */
const bodyOf = (verb: Verb, values: GivenValues): Row =>
  Object.fromEntries(
    fieldsOf(verb.body, values)
      .filter((field) => !verb.call[1].includes(`:${field}/`))
      .map((field) => [field, values[field]]),
  )

const queryOf = (verb: Verb, values: GivenValues) =>
  new URLSearchParams(
    fieldsOf(verb.query, values).flatMap((field) =>
      [values[field]].flat().map((one): [string, string] => [field, String(one)]),
    ),
  )

const passes = (verb: Verb, values: GivenValues, row: Row) =>
  fieldsOf(verb.filters, values).every((field) => (values[field] as unknown[]).includes(row[field]))

const serverValues = (values: GivenValues) => ({
  server: values.server as string | undefined,
  key: values.key as string | undefined,
  'key-file': values.key_file as string | undefined,
})

/** Healthchecks' calls say the field in their text only. */
const theirText = /^json validation error: (\w+) (.*)$/s

function errorDocument(error: Error): Row {
  if (!(error instanceof ServerRefusal)) return { error: error.message }
  const { status, problem } = error
  const [, field, rule] = theirText.exec(problem?.error ?? '') ?? []
  const text = problem?.error ?? (status === 404 ? 'not found' : error.message)
  return { ...(field && { field }), ...problem, error: rule === undefined ? text : `${field} ${rule}`, status }
}

function explain(error: Error): string {
  const { error: text, code, status } = errorDocument(error)
  return status === undefined ? String(text) : `${text} (${[status, code].filter(Boolean).join(' ')})`
}

function unknownVerb(name: string, word: string, { verbs }: Resource): UsageError {
  const like = nearest(word, Object.keys(verbs))
  const hint = like === undefined ? '' : `; did you mean ${like}?`
  return new UsageError(`unknown command ${name} ${word}${hint} (it has ${Object.keys(verbs).join(', ')})`)
}

function usageLine(name: string, word: string, verb: Verb): string {
  const target = verb.target === undefined ? '' : ` ${name.replace(/s$/, '').toUpperCase()}`
  return `flatline ${name} ${word}${target} [options]`
}

function resourceHelp(name: string, { about, verbs }: Resource): string {
  const lines = Object.entries(verbs).map(([word, verb]) => [
    usageLine(name, word, verb).replace(' [options]', ''),
    verb.about,
  ])
  const width = Math.max(...lines.map(([line = '']) => line.length))
  const table = lines.map(([line = '', text]) => `  ${line.padEnd(width)}  ${text}\n`).join('')
  return `${about}\n\n${table}\n--help after a command lists its options\n${exitStatuses}\n`
}

function verbHelp(name: string, word: string, { credential, lookUp }: Resource, verb: Verb): string {
  const named =
    verb.target === 'id' && lookUp ? `${lookUp.slug ? 'uuid, slug' : 'id'} or name` : verb.target && 'its name or id'
  const target = named ? `  ${name.replace(/s$/, '').toUpperCase()}: ${named}\n` : ''
  const key = credential === 'project' ? "a project's key, BOOTSTRAP_API_KEY" : "the operator's token, ADMIN_TOKEN"
  const intro = `usage: ${usageLine(name, word, verb)}\n\n${verb.about}\n\n${target}`
  return `${intro}${describeOptions(optionsOf(verb))}\nthe key is ${key} unless an option says otherwise\n${exitStatuses}\n`
}
