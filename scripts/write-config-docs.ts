// Writes .env.example and docs/configuration.md from the schema, the rules and the profile files:
//   node scripts/write-config-docs.ts
import { readFileSync, writeFileSync } from 'node:fs'
import { parse } from 'yaml'
import { rules } from '../src/config/rules.ts'
import { configSchema, profiles, type Setting, settings } from '../src/config/schema.ts'

const root = new URL('../', import.meta.url)

/** The generated files by their path in the repository. */
export function renderConfigDocs(): Record<string, string> {
  return { '.env.example': renderEnvExample(), 'docs/configuration.md': renderPage() }
}

type Section = { key: string; description: string; settings: Setting[] }

function sections(): Section[] {
  return Object.entries(configSchema.properties).map(([key, schema]) => ({
    key,
    description: 'properties' in schema ? ((schema as { description?: string }).description ?? '') : '',
    settings: settings.filter(({ path }) => path === key || path.startsWith(`${key}.`)),
  }))
}

function renderEnvExample(): string {
  const intro = [
    '# Every setting with its default, written by scripts/write-config-docs.ts. Copy to .env, remove the # in front of what you',
    '# change, and run: node --env-file=.env src/server.ts. docs/configuration.md has the longer names and the rules.',
  ]
  const blocks = sections().map(({ key, description, settings: inside }) =>
    [`# --- ${key}${description && `: ${description}`}`, ...inside.flatMap(envLines)].join('\n'),
  )
  return `${[intro.join('\n'), ...blocks].join('\n\n')}\n`
}

function envLines(setting: Setting): string[] {
  const differences = profileDifferences(setting)
  const file = setting.secret ? ` Or a file: ${setting.name}_FILE` : ''
  const note = differences ? ` (${differences})` : ''
  return [`# ${setting.schema.description}${note}.${file}`, `#${setting.name}=${defaultText(setting)}`]
}

function renderPage(): string {
  const parts = [
    pageIntro,
    ...sections().map(renderSection),
    '## Refused together\n\nBeyond the rule of each value, the process does not start when one of these is broken.',
    [
      ...rules.map(({ about, text }) => `- ${about.map(nameOf).join(', ')}: ${text}.`),
      '- No two of the secrets under `security` may have the same value.',
    ].join('\n'),
  ]
  return `${parts.join('\n\n')}\n`
}

const pageIntro = `# Configuration

<!-- Written by scripts/write-config-docs.ts from src/config/schema.ts; a test compares. -->

Later layers win: built-in defaults, then \`config/<profile>.yaml\`, then the environment. \`DEPLOYMENT_ENV\` chooses the
profile: ${profiles.map((profile) => `\`${profile}\``).join(', ')}. An empty variable counts as unset.

- Every key has a long variable, \`FLATLINE__SECTION__KEY\`; the common ones also a short one. Both may be set only if they agree.
- Every secret can be read from a file: \`ADMIN_TOKEN_FILE=/run/secrets/admin-token\`. One newline at its end is dropped.
- Times are milliseconds, or text such as \`30s\`, \`5m\`, \`1h\`, \`2d\`. Flags are true, false, 1, 0, yes or no.
  Lists are separated by commas, or a JSON array.
- An unknown \`FLATLINE_*\` variable and an unknown key in a profile file are errors. All mistakes are reported at once,
  without the values of secrets, and the process exits 1.`

function renderSection({ key, description, settings: inside }: Section): string {
  const rows = inside.map((setting) => {
    const names = [setting.alias, setting.variable].filter((name) => name !== undefined)
    const text = defaultText(setting)
    const cells = [
      names.map((name) => `\`${name}\``).join('<br>'),
      [text === '' ? 'unset' : `\`${text}\``, profileDifferences(setting)].filter(Boolean).join('<br>'),
      `${setting.schema.description}${limits(setting)}${setting.secret ? ' (secret)' : ''}`,
    ]
    return `| ${cells.join(' | ')} |`
  })
  const heading = `## ${key}${description ? `\n\n${description}.` : ''}`
  return `${heading}\n\n| variable | default | meaning |\n|---|---|---|\n${rows.join('\n')}`
}

function limits({ schema }: Setting): string {
  const { minimum, maximum } = schema as { minimum?: number; maximum?: number }
  if (schema.enum) return `: ${schema.enum.join(', ')}`
  if (schema.rule) return `; ${schema.rule}`
  if (minimum === undefined || maximum === undefined) return ''
  return maximum >= 2 ** 31 - 1 ? `; at least ${minimum}` : `; ${minimum} to ${maximum}`
}

function profileDifferences({ path }: Setting): string {
  const [section = '', key = ''] = path.split('.')
  const byValue = new Map<string, string[]>()
  for (const profile of profiles) {
    const value = parse(readFileSync(new URL(`config/${profile}.yaml`, root), 'utf8'))?.[section]?.[key]
    if (value !== undefined) byValue.set(String(value), [...(byValue.get(String(value)) ?? []), profile])
  }
  return [...byValue].map(([value, where]) => `${value} in ${where.join(', ')}`).join('; ')
}

function defaultText({ schema }: Setting): string {
  if (schema.type === 'object') return JSON.stringify(schema.default)
  return schema.default === undefined ? '' : String(schema.default)
}

function nameOf(path: string): string {
  return `\`${settings.find((setting) => setting.path === path)?.name}\``
}

// Last, because the prose above is a constant.
if (import.meta.main) {
  for (const [path, text] of Object.entries(renderConfigDocs())) writeFileSync(new URL(path, root), text)
}
