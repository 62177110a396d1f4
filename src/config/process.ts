// Settings of the process: listening, its database, limits, health, secrets.
import { Type } from 'typebox'
import { flag, integer, milliseconds, secret } from './kinds.ts'

export const server = Type.Object(
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
    peerUrl: Type.Optional(
      Type.String({
        env: 'PEER_URL',
        reading: 'siteUrl',
        description:
          'Address at which the other replicas reach this one, to probe it or to hand heartbeats to it; without it the listen address',
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
    drainMs: milliseconds(
      5000,
      'How long the service still answers requests after the signal, so that load balancers notice',
      {
        env: 'DRAIN_MS',
        minimum: 0,
      },
    ),
    shutdownTimeoutMs: milliseconds(
      30_000,
      'Time limit of a shutdown, from the signal on, drain included; after it the process exits 1',
      {
        env: 'SHUTDOWN_TIMEOUT_MS',
      },
    ),
    maxConnections: integer(
      20_000,
      'Maximum number of client connections at once; further ones are closed; fewer are accepted where the system allows fewer open files',
    ),
    keepAliveTimeoutMs: milliseconds(
      72_000,
      'How long an idle connection is kept; must be longer than the load balancer keeps it, or it sends requests into closed connections',
    ),
    requestTimeoutMs: milliseconds(
      60_000,
      'How long a client may take to send a request; then its connection is closed',
    ),
    headersTimeoutMs: milliseconds(10_000, 'How long a client may take to send the head of a request'),
    maxHeaderBytes: integer(16_384, 'Largest head of a request; more is answered 431', {
      minimum: 1024,
      maximum: 1_048_576,
    }),
    bodyLimitBytes: integer(1_048_576, 'Largest body of a management call; more is answered 413'),
  },
  { description: 'Listening, draining and the place for data' },
)

export const database = Type.Object(
  {
    url: Type.Optional(
      Type.String({
        env: 'DATABASE_URL',
        secret: true,
        reading: 'databaseUrl',
        description: 'PostgreSQL 15 or newer; without it an embedded one runs under DATA_DIR',
      }),
    ),
    poolMax: integer(20, 'Maximum number of connections of this process', { maximum: 1000 }),
    replicas: integer(
      1,
      'Processes that share the database server; only for the warning at the start that it has too few connections',
      {
        maximum: 10_000,
      },
    ),
    replicasSurge: integer(1, 'Additional processes during a roll-out, for the same warning', {
      minimum: 0,
      maximum: 10_000,
    }),
    reserve: integer(5, 'Connections that others need, for example backups and monitoring, for the same warning', {
      minimum: 0,
    }),
    connectTimeoutMs: milliseconds(5000, 'How long one attempt to connect may take'),
    statementTimeoutMs: milliseconds(10_000, 'How long one statement may run'),
    hangAfterMs: milliseconds(
      3000,
      'How long a trivial query may go unanswered before calls to the database fail at once instead of waiting',
      { minimum: 100 },
    ),
    idleTimeoutMs: milliseconds(30_000, 'How long an unused connection is kept'),
    slowQueryMs: milliseconds(1000, 'Statements that take longer are logged, without their values; 0 is off', {
      minimum: 0,
    }),
    slowMigrationMs: milliseconds(10_000, 'A migration that takes longer is logged at warn; 0 is off', { minimum: 0 }),
    allowEmbedded: flag('ALLOW_EMBEDDED_DATABASE', 'Lets the production profile run on the embedded database'),
    allowPlaintext: flag('DATABASE_ALLOW_PLAINTEXT', 'Lets the production profile use a remote database without TLS'),
  },
  { description: 'PostgreSQL' },
)

export const limits = Type.Object(
  {
    maxEventLoopDelayMs: milliseconds(1000, 'Event-loop delay above which requests are answered 503; 0 is off', {
      minimum: 0,
    }),
    maxEventLoopUtilization: Type.Number({
      // Off by default: a busy event loop that is never late uses the machine well, and full load is when operators
      // need the API.
      default: 0,
      minimum: 0,
      maximum: 1,
      description: 'Share of time the event loop is busy above which requests are answered 503; 0 is off',
    }),
    bodiesMaxBytes: integer(
      67_108_864,
      'Maximum number of bytes of bodies of management calls and uploads in memory at once; more are answered 503; an eighth of it is for callers whose key is in the body',
      { minimum: 16_777_216 },
    ),
    bodyWithKeyMaxBytes: integer(
      65_536,
      'How many bytes of a body that may contain the key are read before the caller is known',
      {
        maximum: 1_048_576,
      },
    ),
    maxRssBytes: integer(0, 'Resident memory above which requests are answered 503; 0 is off', { minimum: 0 }),
    callsPerMinute: integer(6000, 'Management calls of one API key within a minute; more are answered 429; 0 is off', {
      minimum: 0,
    }),
    mailMaxBytes: integer(26_214_400, 'Largest e-mail that is taken; a larger one is refused'),
    mailHeldMaxBytes: integer(
      33_554_432,
      'Maximum number of bytes of e-mails in progress; further ones are refused temporarily',
    ),
    mailConnectionsMax: integer(
      100,
      'Maximum number of connections of mail servers at once; more are refused temporarily',
      {
        maximum: 10_000,
      },
    ),
    authFailuresPerMinute: integer(
      300,
      'Failed authentications of one address within a minute; more are answered 429; 0 is off',
      { minimum: 0 },
    ),
  },
  { description: 'Overload and rates; heartbeats, probes and metrics are exempt' },
)

const percent = (fallback: number, description: string) => integer(fallback, description, { maximum: 100 })

export const health = Type.Object(
  {
    memoryWarnPercent: percent(80, 'Share of the memory limit above which the memory check carries a warning'),
    memoryDegradedPercent: percent(90, 'Share of the memory limit above which the memory check is degraded'),
    diskDegradedPercent: percent(90, 'Share of the disk under DATA_DIR above which the disk check is degraded'),
    databaseDegradedMs: milliseconds(500, 'Round trip to the database above which the database check is degraded'),
    maxStalenessMs: milliseconds(
      60_000,
      'Age of the oldest heartbeat that is not in the database yet, above which /health is degraded',
      {
        env: 'MAX_STALENESS_MS',
      },
    ),
    detectorDegradedMs: milliseconds(
      10_000,
      'Time without a run of the detector after which the detector check is degraded',
    ),
    replicasExpected: integer(
      0,
      'How many replicas should run at least: fewer alert (metric replicas_expected); 0 if that is not known',
      { minimum: 0, maximum: 10_000 },
    ),
    cacheMinHitRatio: Type.Number({
      default: 0.1,
      minimum: 0,
      maximum: 1,
      description: 'Hit ratio of the API key cache below which the cache check is degraded; 0 is off',
    }),
    detailAllowlist: Type.Array(Type.String(), {
      default: [],
      env: 'HEALTH_DETAIL_ALLOWLIST',
      reading: 'addresses',
      description:
        'Addresses that see more than the status in /health and /status; if empty every address does, in production only the private network of this process',
    }),
  },
  { description: 'Thresholds of /health' },
)

export const admin = Type.Object(
  {
    callsPerMinute: integer(600, "The operator's calls within a minute; more are answered 429; 0 is off", {
      minimum: 0,
    }),
  },
  { description: "The operator's calls" },
)

export const healthMetrics = Type.Object(
  { intervalMs: milliseconds(15_000, 'How often the service records its own metrics') },
  { description: 'The table health_metrics' },
)

// A header cannot contain spaces or control characters, so a token with a stray newline would never match.
export const security = Type.Object(
  {
    adminToken: secret(
      'ADMIN_TOKEN',
      'Bearer token of the operator; without it everything that only it may call answers 404',
      '^[\\x21-\\x7e]{32,}$',
      'must be at least 32 printable ASCII characters without spaces',
    ),
    adminTokenPrevious: secret(
      'ADMIN_TOKEN_PREVIOUS',
      'Also accepted as the bearer token of the operator, while ADMIN_TOKEN is being replaced',
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
      'Bearer token that /metrics requires; without it /metrics is open, in production only to the private network of this process',
      '^[\\x21-\\x7e]+$',
      'must be printable ASCII characters without spaces',
    ),
    metricsTokenPrevious: secret(
      'METRICS_TOKEN_PREVIOUS',
      'Also accepted as the bearer token of /metrics, while METRICS_TOKEN is being replaced',
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
