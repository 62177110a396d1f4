// Every setting on one page: the type, the environment's variables, the checks, .env.example and docs/configuration.md
// all derive from this schema. Three keywords are ours: `env` is the short alias, `secret` keeps the value out of
// messages and logs, `reading` names the function of config-values.ts that a plain type cannot replace.
import { type Static, type TSchema, Type } from 'typebox'

export const profiles = ['local', 'staging', 'production', 'docker'] as const

// setTimeout fires at once for anything longer, so that a month-long interval would become a busy loop.
const longestTimerMs = 2 ** 31 - 1

type Extra = { env?: string; minimum?: number; maximum?: number }

const integer = (fallback: number, description: string, extra: Extra = {}) =>
  Type.Integer({ default: fallback, minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description, ...extra })
const milliseconds = (fallback: number, description: string, extra: Extra = {}) =>
  integer(fallback, description, { maximum: longestTimerMs, ...extra })
const flag = (env: string, description: string) => Type.Boolean({ default: false, env, description })
const secret = (env: string, description: string, pattern: string, rule: string) =>
  Type.Optional(Type.String({ env, secret: true, description, pattern, rule }))

const server = Type.Object(
  {
    host: Type.String({
      default: '127.0.0.1',
      env: 'HOST',
      description: 'Address to listen on',
      pattern: '^[A-Za-z0-9.:%_-]+$',
      rule: 'must be a host name or an address',
    }),
    port: integer(8000, 'Port to listen on; 0 picks a free one and logs it', {
      env: 'PORT',
      minimum: 0,
      maximum: 65_535,
    }),
    siteUrl: Type.Optional(
      Type.String({
        env: 'SITE_URL',
        reading: 'siteUrl',
        description: 'Base of ping URLs, badges and links; without it the listen address is used',
      }),
    ),
    trustProxy: Type.Array(Type.String(), {
      default: [],
      env: 'TRUST_PROXY',
      reading: 'addresses',
      description:
        'Proxies whose X-Forwarded-* headers count for limits, audit and logs: addresses, CIDR ranges, loopback, linklocal, uniquelocal',
    }),
    dataDir: Type.String({
      default: './data',
      env: 'DATA_DIR',
      reading: 'directory',
      description:
        'Embedded database, spool and generated local secrets; relative to the working directory; must be writable only when one of them is used',
    }),
    drainMs: milliseconds(5000, 'How long requests are still served after the signal, so that load balancers notice', {
      env: 'DRAIN_MS',
      minimum: 0,
    }),
    shutdownTimeoutMs: milliseconds(30_000, 'From the signal, drain included; after it the process exits 1', {
      env: 'SHUTDOWN_TIMEOUT_MS',
    }),
    keepAliveTimeoutMs: milliseconds(
      72_000,
      'How long an idle connection is kept; longer than the load balancer keeps it, or it sends into closed ones',
    ),
    requestTimeoutMs: milliseconds(60_000, 'How long a client may take to send a request; slower ones are cut off'),
    bodyLimitBytes: integer(1_048_576, 'Largest body of a management call; more is answered 413'),
  },
  { description: 'Listening, draining and the place for data' },
)

const database = Type.Object(
  {
    url: Type.Optional(
      Type.String({
        env: 'DATABASE_URL',
        secret: true,
        reading: 'databaseUrl',
        description: 'PostgreSQL 15 or newer; without it an embedded one runs under DATA_DIR',
      }),
    ),
    poolMax: integer(20, 'Most connections of this process', { maximum: 1000 }),
    connectTimeoutMs: milliseconds(5000, 'How long one attempt to connect may take'),
    statementTimeoutMs: milliseconds(10_000, 'How long one statement may run'),
    idleTimeoutMs: milliseconds(30_000, 'How long an unused connection is kept'),
    allowEmbedded: flag('ALLOW_EMBEDDED_DATABASE', 'Lets the production profile run on the embedded database'),
    allowPlaintext: flag(
      'DATABASE_ALLOW_PLAINTEXT',
      'Lets the production profile talk to a remote database without TLS',
    ),
  },
  { description: 'PostgreSQL' },
)

const log = Type.Object(
  {
    level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      default: 'info',
      env: 'LOG_LEVEL',
      synonyms: { warning: 'warn', critical: 'fatal' },
      description: 'Least severe level that is logged',
    }),
    format: Type.Enum(['auto', 'json', 'pretty'], {
      default: 'auto',
      env: 'LOG_FORMAT',
      description: 'auto is pretty on a terminal and json elsewhere',
    }),
  },
  { description: 'Logging to standard output' },
)

const ingest = Type.Object(
  {
    pingBodyLimitBytes: integer(100_000, 'Kept of each ping body; more is cut, never refused', {
      env: 'PING_BODY_LIMIT',
      minimum: 0,
      maximum: 16_777_216,
    }),
    queueMaxEntries: integer(20_000, 'Heartbeats waiting for the database; more are answered 503'),
    queueMaxBytes: integer(67_108_864, 'Bytes of heartbeats waiting for the database; more are answered 503'),
    batchMax: integer(500, 'Most heartbeats in one transaction'),
    partitionsAheadDays: integer(7, 'Days for which partitions of the history are made in advance', { maximum: 366 }),
  },
  { description: 'Receiving heartbeats' },
)

const detector = Type.Object(
  {
    intervalMs: milliseconds(250, 'Pause between two looks for monitors that are due'),
    batchMax: integer(500, 'Most monitors in one pass'),
    acceptanceIntervalMs: milliseconds(500, 'How often this replica records that it can accept heartbeats', {
      maximum: 1000,
    }),
    blindAfterMs: milliseconds(2000, 'A longer gap in recorded acceptance is a blind window'),
  },
  { description: 'Noticing silence' },
)

const alerting = Type.Object(
  {
    allowPrivateTargets: flag(
      'ALLOW_PRIVATE_TARGETS',
      'Whether alerts may go to private, loopback and link-local addresses',
    ),
    intervalMs: milliseconds(500, 'Pause between two looks for deliveries that are due'),
    concurrency: integer(32, 'Most deliveries sent at once', { maximum: 1000 }),
    requestTimeoutMs: milliseconds(30_000, 'How long one request to a destination may take'),
    responseMaxBytes: integer(65_536, 'Read of each response from a destination'),
    retryBaseMs: milliseconds(5000, 'Pause before the first retry; it doubles from there'),
    retryMaxMs: milliseconds(3_600_000, 'Longest pause between two retries'),
    retryForMs: milliseconds(86_400_000, 'After this time a delivery is dead'),
  },
  { description: 'Telling people' },
)

const limits = Type.Object(
  {
    maxEventLoopDelayMs: milliseconds(1000, 'Event-loop delay above which requests are answered 503; 0 is off', {
      minimum: 0,
    }),
    maxEventLoopUtilization: Type.Number({
      // Off: a loop that is always busy and never late is a machine well used, and full load is when operators look.
      default: 0,
      minimum: 0,
      maximum: 1,
      description: 'Share of time the event loop is busy above which requests are answered 503; 0 is off',
    }),
    maxRssBytes: integer(0, 'Resident memory above which requests are answered 503; 0 is off', { minimum: 0 }),
  },
  { description: 'Shedding management requests under overload; heartbeats, probes and metrics are exempt' },
)

const retention = Type.Object(
  { healthMetricsDays: integer(30, 'How long samples of the service itself are kept', { maximum: 3650 }) },
  { description: 'How long things are kept' },
)

const healthMetrics = Type.Object(
  { intervalMs: milliseconds(15_000, 'How often the service samples itself') },
  { description: 'The table health_metrics' },
)

// A header cannot carry spaces or control characters, so that a token with a stray newline would never match.
const security = Type.Object(
  {
    adminToken: secret(
      'ADMIN_TOKEN',
      'Bearer token of the operator; without it everything that only it may call answers 404',
      '^[\\x21-\\x7e]{32,}$',
      'must be at least 32 printable ASCII characters without spaces',
    ),
    encryptionKey: Type.Optional(
      Type.Array(Type.String(), {
        env: 'ENCRYPTION_KEY',
        secret: true,
        reading: 'encryptionKeys',
        description:
          '32 bytes as 64 hex digits or base64, for secrets at rest; a comma list rotates: the first encrypts, all decrypt; generated into DATA_DIR in local, required elsewhere',
      }),
    ),
    metricsToken: secret(
      'METRICS_TOKEN',
      'Bearer token that /metrics asks for; without it /metrics is open',
      '^[\\x21-\\x7e]+$',
      'must be printable ASCII characters without spaces',
    ),
    bootstrapApiKey: secret(
      'BOOTSTRAP_API_KEY',
      'The read-write API key of the default project after start',
      '^[A-Za-z0-9_-]{32}$',
      'must be exactly 32 characters of A-Z a-z 0-9 _ -',
    ),
    bootstrapApiKeyReadonly: secret(
      'BOOTSTRAP_API_KEY_READONLY',
      'The read-only API key of the default project after start',
      '^[A-Za-z0-9_-]{32}$',
      'must be exactly 32 characters of A-Z a-z 0-9 _ -',
    ),
    bootstrapPingKey: secret(
      'BOOTSTRAP_PING_KEY',
      'The ping key of the default project after start',
      '^[A-Za-z0-9_-]{22}$',
      'must be exactly 22 characters of A-Z a-z 0-9 _ -',
    ),
  },
  { description: 'Secrets; no two may be the same' },
)

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
  detector,
  alerting,
  limits,
  retention,
  healthMetrics,
  security,
})

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T

/** The whole configuration, frozen all the way down. `security.encryptionKey` holds each key as 64 hex digits. */
export type Config = Frozen<Static<typeof configSchema>>

export type LeafSchema = TSchema & {
  type?: 'string' | 'integer' | 'number' | 'boolean' | 'array'
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
