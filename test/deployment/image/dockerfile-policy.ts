// What a Dockerfile of ours has to be, beyond its syntax. Rules are a table, so that each can be seen to catch what it forbids.

import { DockerfileParser, type Instruction } from 'dockerfile-ast'
import { validate } from 'dockerfile-utils'

type Stage = { from: Instruction; instructions: Instruction[] }
type Parsed = { text: string; directives: number; initial: Instruction[]; stages: Stage[]; last: Stage }
type Rule = { text: string; broken: (file: Parsed) => boolean }

/** Every problem of the file, of its syntax and of our rules. */
export function problemsOf(text: string): string[] {
  const syntax = validate(text, {}).map(({ message, range }) => `line ${range.start.line + 1}: ${message}`)
  const file = parse(text)
  return [...syntax, ...rules.filter(({ broken }) => broken(file)).map((rule) => rule.text)]
}

/** The default of an ARG, empty without one. */
export function argument(text: string, name: string): string {
  const found = DockerfileParser.parse(text)
    .getARGs()
    .concat(DockerfileParser.parse(text).getInitialARGs())
    .map((arg) => arg.getProperty())
  return found.find((property) => property?.getName() === name && property.getValue())?.getValue() ?? ''
}

/** Files and folders that are copied from the build context. */
export function copiedFromContext(text: string): string[] {
  return DockerfileParser.parse(text)
    .getCOPYs()
    .filter((copy) => copy.getFromFlag() === null)
    .flatMap((copy) => words(copy).slice(0, -1))
}

const rules: Rule[] = [
  { text: 'a syntax directive makes the builder ask a registry', broken: ({ directives }) => directives > 0 },
  { text: 'heredocs are unknown to older builders', broken: ({ text }) => /<<-?['"]?\w/.test(text) },
  {
    text: 'every stage begins with NODE_IMAGE or an earlier stage',
    broken: ({ stages }) => {
      const names = stages.map(({ from }) => words(from)[2])
      return stages.some(({ from }, index) => {
        const base = words(from)[0] ?? ''
        return !/^\$\{NODE_IMAGE\}$/.test(base) && !names.slice(0, index).includes(base)
      })
    },
  },
  {
    text: 'NODE_IMAGE names an exact version',
    broken: ({ text }) => !/^node:\d+\.\d+\.\d+-[\w.-]+(@sha256:[0-9a-f]{64})?$/.test(argument(text, 'NODE_IMAGE')),
  },
  { text: 'there is more than one stage', broken: ({ stages }) => stages.length < 2 },
  { text: 'ADD fetches and unpacks: COPY is meant', broken: (file) => all(file, 'ADD').length > 0 },
  {
    text: 'no secret in ARG or ENV',
    broken: (file) =>
      [...file.initial, ...all(file, 'ARG'), ...all(file, 'ENV')].some((one) =>
        /(TOKEN|PASSWORD|SECRET|API_KEY|PRIVATE)/i.test(content(one)),
      ),
  },
  {
    text: 'npm ci, which obeys the lock file, and no install scripts',
    broken: (file) =>
      all(file, 'RUN').some((run) => /npm (i|install)\b|npm ci (?!.*--ignore-scripts)/.test(content(run))),
  },
  {
    text: 'nothing is fetched but packages',
    broken: (file) => all(file, 'RUN').some((run) => /\b(curl|wget|apt-get|apk)\b/.test(content(run))),
  },
  { text: 'the user is 1000:1000, by number', broken: ({ last }) => only(last, 'USER') !== '1000:1000' },
  {
    text: 'no command runs and nothing is copied after USER',
    broken: ({ last }) => {
      const keywords = last.instructions.map((one) => one.getKeyword())
      return keywords.slice(keywords.indexOf('USER')).some((keyword) => ['RUN', 'COPY'].includes(keyword))
    },
  },
  {
    text: 'CMD is node itself, in exec form',
    broken: ({ last }) => jsonOf(only(last, 'CMD'))?.join(' ') !== 'node dist/server.js',
  },
  {
    text: "ENTRYPOINT is empty: the base's is a shell script",
    broken: ({ last }) => jsonOf(only(last, 'ENTRYPOINT'))?.length !== 0,
  },
  { text: 'STOPSIGNAL is SIGTERM', broken: ({ last }) => only(last, 'STOPSIGNAL') !== 'SIGTERM' },
  { text: 'EXPOSE is 8000', broken: ({ last }) => only(last, 'EXPOSE') !== '8000' },
  {
    text: 'HEALTHCHECK every 30 s, within 3 s, after 40 s, three times, by node in exec form',
    broken: ({ last }) =>
      only(last, 'HEALTHCHECK') !==
      '--interval=30s --timeout=3s --start-period=40s --retries=3 CMD ["node", "dist/cli.js", "healthcheck"]',
  },
]

function parse(text: string): Parsed {
  const file = DockerfileParser.parse(text)
  const stages: Stage[] = []
  for (const one of file.getInstructions()) {
    if (one.getKeyword() === 'FROM') stages.push({ from: one, instructions: [] })
    else stages.at(-1)?.instructions.push(one)
  }
  const last = stages.at(-1)
  if (last === undefined) throw new Error('a Dockerfile without FROM')
  return { text, directives: file.getDirectives().length, initial: file.getInitialARGs(), stages, last }
}

function all({ stages }: Parsed, keyword: string): Instruction[] {
  return stages.flatMap(({ instructions }) => instructions).filter((one) => one.getKeyword() === keyword)
}

/** The one instruction of this kind in a stage, as text; undefined if there is none or more than one. */
function only(stage: Stage, keyword: string): string | undefined {
  const found = stage.instructions.filter((one) => one.getKeyword() === keyword)
  return found.length === 1 ? content(found[0]!) : undefined
}

/** Everything after the keyword, flags included, on one line. */
function content(instruction: Instruction): string {
  const text = instruction.getTextContent().replace(/\\\n/g, ' ')
  return text.slice(instruction.getKeyword().length).replace(/\s+/g, ' ').trim()
}

function words(instruction: Instruction): string[] {
  return content(instruction)
    .split(' ')
    .filter((word) => !word.startsWith('--'))
}

function jsonOf(text: string | undefined): unknown[] | undefined {
  if (!text?.startsWith('[')) return undefined
  const value: unknown = JSON.parse(text)
  return Array.isArray(value) ? value : undefined
}
