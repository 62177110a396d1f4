// Every setting, by section: the type, the environment's variables, the checks, .env.example and docs/configuration.md all derive
// from this schema.
import { type Static, type TSchema, Type } from 'typebox'
import { backup, features, telemetry } from './features.ts'
import { log } from './log.ts'
import { admin, database, health, healthMetrics, limits, security, server } from './process.ts'
import { alerting, breakers, detector, ingest, quotas, retention, spool } from './work.ts'

export const profiles = ['local', 'staging', 'production', 'docker'] as const

export const configSchema = Type.Object({
  environment: Type.Enum([...profiles], {
    default: 'local',
    env: 'DEPLOYMENT_ENV',
    description: 'Profile: which file under config/ is read and how strict the checks are',
  }),
  server,
  database,
  log,
  ingest,
  spool,
  detector,
  alerting,
  breakers,
  limits,
  quotas,
  retention,
  backup,
  health,
  healthMetrics,
  admin,
  security,
  features,
  telemetry,
})

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T

/** The whole configuration, frozen all the way down. `security.encryptionKey` holds each key as 64 hex digits. */
export type Config = Frozen<Static<typeof configSchema>>

export type LeafSchema = TSchema & {
  type?: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object'
  enum?: string[]
  synonyms?: Record<string, string>
  default?: unknown
  description: string
  env?: string
  secret?: boolean
  reading?: string
  rule?: string
}

/** One leaf: `path` is `server.port`, `variable` is `FLATLINE__SERVER__PORT`, `name` the one to show to people. */
export type Setting = {
  path: string
  variable: string
  alias: string | undefined
  name: string
  secret: boolean
  schema: LeafSchema
}

export const settings: readonly Setting[] = leaves(configSchema, [])

function leaves(schema: TSchema, path: string[]): Setting[] {
  if ('properties' in schema) {
    return Object.entries(schema.properties as Record<string, TSchema>).flatMap(([key, inner]) =>
      leaves(inner, [...path, key]),
    )
  }
  const leaf = schema as LeafSchema
  const variable = ['FLATLINE', ...path.map(upperSnake)].join('__')
  const alias = leaf.env
  return [
    { path: path.join('.'), variable, alias, name: alias ?? variable, secret: leaf.secret ?? false, schema: leaf },
  ]
}

function upperSnake(key: string): string {
  return key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()
}
