// Settings of the main work: receiving heartbeats, detecting silence, sending alerts, keeping history.
import { Type } from 'typebox'
import { uuidPattern } from '../kit/identifier.ts'
import { flag, integer, milliseconds, secret } from './kinds.ts'

export const ingest = Type.Object(
  {
    mode: Type.Enum(['available', 'consistent'], {
      default: 'available',
      env: 'INGEST_MODE',
      description:
        'What happens to heartbeats while the database is away: available keeps them in a spool under DATA_DIR, which must outlive the process; consistent answers 503',
    }),
    divertAfterMs: milliseconds(
      2000,
      'How long heartbeats wait for a database that does not answer before they are spooled',
    ),
    pingBodyLimitBytes: integer(100_000, 'How many bytes of each ping body are kept; the rest is cut, never refused', {
      env: 'PING_BODY_LIMIT',
      minimum: 0,
      maximum: 16_777_216,
    }),
    mailLimitBytes: integer(
      1_048_576,
      'How many bytes of each heartbeat by e-mail are kept, headers included; the rest is cut',
      {
        maximum: 16_777_216,
      },
    ),
    queueMaxEntries: integer(20_000, 'Maximum number of heartbeats waiting for the database; more are answered 503'),
    queueMaxBytes: integer(
      67_108_864,
      'Maximum number of bytes of heartbeats waiting for the database; more are answered 503',
    ),
    batchMax: integer(500, 'Maximum number of heartbeats in one transaction'),
    partitionsAheadDays: integer(7, 'How many days ahead the partitions of the history are created', { maximum: 366 }),
  },
  { description: 'Receiving heartbeats' },
)

export const spool = Type.Object(
  {
    maxBytes: integer(
      1_073_741_824,
      'Maximum number of bytes of heartbeats in the spool while the database is away; when it is full they are answered 503',
    ),
    segmentBytes: integer(4_194_304, 'Size of one file of the spool, which is replayed and removed as a whole', {
      minimum: 4096,
      maximum: 268_435_456,
    }),
    queueMaxEntries: integer(
      20_000,
      'Maximum number of heartbeats waiting for the disk of the spool; more are answered 503',
    ),
    quarantineMaxEntries: integer(
      10_000,
      'Maximum number of heartbeats in the quarantine: acknowledged, and refused by the database; more are dropped, with a log line',
    ),
  },
  { description: 'The spool: heartbeats on disk while the database is away' },
)

export const detector = Type.Object(
  {
    intervalMs: milliseconds(250, 'Pause between two queries for checks that are due'),
    batchMax: integer(500, 'Maximum number of checks in one run of the detector'),
    acceptanceIntervalMs: milliseconds(500, 'How often this replica records that it can accept heartbeats', {
      maximum: 1000,
    }),
    blindAfterMs: milliseconds(2000, 'Longest gap in the record of acceptance; a longer one is a blind window'),
  },
  { description: 'Detecting silence' },
)

export const alerting = Type.Object(
  {
    allowPrivateTargets: flag(
      'ALLOW_PRIVATE_TARGETS',
      'Whether alerts may go to private, loopback and link-local addresses',
    ),
    intervalMs: milliseconds(500, 'Pause between two queries for deliveries that are due'),
    concurrency: integer(64, 'Maximum number of deliveries sent at once', { maximum: 1000 }),
    testsPerMinute: integer(
      10,
      'Maximum number of channel tests per minute, for each project on this replica; more are answered 429',
      { maximum: 1000 },
    ),
    leaseMs: milliseconds(
      15_000,
      'How long an alert that is being sent is reserved for a replica that does not renew its lease; then another replica sends it, a second time if it was already sent',
      { minimum: 3000 },
    ),
    responseMaxBytes: integer(65_536, 'How many bytes of each response of a destination are read'),
    retryBaseMs: milliseconds(5000, 'Pause before the first retry; it doubles with each further one'),
    retryMaxMs: milliseconds(3_600_000, 'Longest pause between two retries'),
    flappingOutages: integer(
      10,
      'Maximum number of outages of one check per hour that are alerted; above it the check is flapping and its alerts are suppressed; 0 is off',
      {
        minimum: 0,
      },
    ),
    stormSingly: integer(
      25,
      'Maximum number of alerts of one project per minute that are sent singly; the rest are grouped, on channels that can group',
    ),
    stormGatherMs: milliseconds(10_000, 'How long the alerts of a storm are collected for one message'),
    retryForMs: milliseconds(86_400_000, 'How long a delivery is retried; then it is dead'),
    serviceChannels: Type.Array(Type.String({ pattern: `^${uuidPattern}$` }), {
      default: [],
      env: 'SERVICE_ALERT_CHANNELS',
      rule: 'must be ids of channels',
      description: 'Ids of channels, of any project, that get the alerts about Flatline itself',
    }),
    serviceAvailability: Type.Number({
      default: 0.995,
      minimum: 0,
      maximum: 1,
      description:
        'Target share of requests per hour that are not answered 5xx; less causes an alert about Flatline itself',
    }),
    serviceLatencyMs: milliseconds(
      500,
      'Target for the time in which 95 % of requests are answered; longer causes an alert about Flatline itself',
    ),
    serviceLookMs: milliseconds(15_000, 'Pause between two evaluations of the rules for alerts about Flatline itself'),
    serviceCalmMs: milliseconds(60_000, 'How long a problem of Flatline itself must be over before that is reported'),
    suspectMs: milliseconds(
      3_600_000,
      'How long a destination may refuse the credentials before its channel is switched off',
    ),
    allowedTargets: Type.Array(Type.String(), {
      default: [],
      env: 'ALLOWED_TARGETS',
      reading: 'addresses',
      description:
        'Private addresses that alerts may go to although ALLOW_PRIVATE_TARGETS is false: addresses, CIDR ranges, loopback, linklocal, uniquelocal',
    }),
    httpsOnly: flag(
      'HTTPS_TARGETS_ONLY',
      'Whether alerts go to https addresses alone; an http address of a channel is refused when an alert is sent',
    ),
    allowShellChannels: flag(
      'ALLOW_SHELL_CHANNELS',
      'Whether channels may run commands on this machine, under the account of this process; everybody with a read-write key can then do so',
    ),
    smtpHost: Type.Optional(
      Type.String({
        env: 'SMTP_RELAY_HOST',
        pattern: '^[A-Za-z0-9.:_-]+$',
        rule: 'must be a host name or an address',
        description: 'Mail server of the e-mail channels; without it there are no e-mail channels',
      }),
    ),
    smtpPort: integer(587, 'Port of the mail server', { env: 'SMTP_RELAY_PORT', maximum: 65_535 }),
    smtpSecurity: Type.Enum(['tls', 'starttls', 'opportunistic', 'none'], {
      default: 'starttls',
      env: 'SMTP_RELAY_SECURITY',
      description:
        'tls: from the start (port 465); starttls: required; opportunistic: STARTTLS if the server offers it; none: never',
    }),
    smtpUser: Type.Optional(Type.String({ env: 'SMTP_RELAY_USER', description: 'Login at the mail server' })),
    smtpPassword: secret('SMTP_RELAY_PASSWORD', 'Password at the mail server', '^.+$', 'must not be empty'),
    confirmRecipients: Type.Boolean({
      default: true,
      env: 'CONFIRM_RECIPIENTS',
      description:
        'Whether an address must confirm, by a link in a mail, that it wants the mails of a project before it gets alerts',
    }),
    mailsPerHour: integer(200, 'Maximum number of mails per hour of all e-mail channels of one project; more wait'),
    smtpFrom: Type.Optional(
      Type.String({
        env: 'SMTP_RELAY_FROM',
        pattern: '^([^<>@]*<[^<>@\\s]+@[^<>@\\s]+>|[^<>@\\s]+@[^<>@\\s]+)$',
        rule: 'must be an address: alerts@example.org, or Alerts <alerts@example.org>',
        description: 'Sender of alerts by e-mail',
      }),
    ),
  },
  { description: 'Sending alerts' },
)

/** The default value for projects, and the largest value that the operator can give to one. */
const quota = <Name extends string>(name: Name, fallback: number, most: number, what: string) =>
  ({
    [name]: integer(fallback, `${what}, unless the operator sets another value for a project`, { minimum: 0 }),
    [`${name}Max`]: integer(most, `The largest value of ${name} that a project can be given`, { minimum: 0 }),
  }) as Record<Name | `${Name}Max`, ReturnType<typeof integer>>

const share = (fallback: number, description: string) =>
  Type.Number({ default: fallback, minimum: 0, maximum: 1, description })

export const quotas = Type.Object(
  {
    ...quota('checks', 2_000_000, 10_000_000, 'Maximum number of checks of a project'),
    ...quota('channels', 500, 10_000, 'Maximum number of channels of a project'),
    ...quota(
      'newChecksPerHour',
      5000,
      1_000_000,
      'Maximum number of checks of a project that pings create (create=1) per hour',
    ),
    ...quota(
      'bodyBytes',
      4_294_967_296,
      1_099_511_627_776,
      'Maximum number of bytes of bodies kept for a project (beyond it heartbeats are kept without their bodies)',
    ),
    ...quota(
      'bodyBytesPerCheck',
      16_777_216,
      1_073_741_824,
      'Maximum number of bytes of bodies kept for a check (beyond it the oldest are removed)',
    ),
    spoolShare: share(0.8, 'Share of a spool that one project may fill, unless the operator sets another value for it'),
    spoolShareMax: share(1, 'The largest value of spoolShare that a project can be given'),
  },
  { description: 'Limits for each project' },
)

const days = (fallback: number, description: string) => integer(fallback, description, { maximum: 3650 })

export const retention = Type.Object(
  {
    heartbeatsDays: days(400, 'How long heartbeats and their bodies are kept'),
    heartbeatKeysDays: days(3, 'How long the ids that senders give to heartbeats are kept, to recognise duplicates'),
    flipsDays: days(400, 'How long changes of status are kept'),
    deliveriesDays: days(90, 'How long alerts are kept after their delivery ended'),
    auditDays: days(400, 'How long entries of the audit log are kept'),
    healthMetricsDays: days(30, "How long the service's own metrics are kept"),
    quarantineDays: days(400, 'How long the quarantine keeps acknowledged heartbeats that cannot be written'),
    blindWindowsDays: days(
      800,
      'How long blind windows are kept; must be longer than the longest wait for a heartbeat, or the blind time counts against its check',
    ),
  },
  { description: 'How long data is kept' },
)

const atLeastOne = Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 })
/** The settings of a breaker; a kind is `database`, `redis` or that of a channel. */
const BreakerPolicy = Type.Partial(
  Type.Object({
    failureThreshold: atLeastOne,
    recoveryMs: atLeastOne,
    successThreshold: atLeastOne,
    requestTimeoutMs: atLeastOne,
  }),
  { additionalProperties: false },
)

/**
 * These apply even if an installation changes the general values. A database that is back must not stay refused: every
 * second of that refuses heartbeats. Nor must Redis stay unused: every second of that leaves calls uncounted.
 */
export const shippedOverrides = {
  database: { recoveryMs: 1000 },
  redis: { recoveryMs: 1000, requestTimeoutMs: 500 },
}

export const breakers = Type.Object(
  {
    failureThreshold: integer(5, 'Consecutive failures that open a circuit breaker', {
      env: 'CIRCUIT_BREAKER_FAILURE_THRESHOLD',
    }),
    recoveryMs: milliseconds(
      60_000,
      'How long an open circuit breaker refuses calls before it admits a few trial calls',
      {
        env: 'CIRCUIT_BREAKER_RECOVERY_TIMEOUT_MS',
      },
    ),
    successThreshold: integer(3, 'Consecutive successes that close a circuit breaker again', {
      env: 'CIRCUIT_BREAKER_SUCCESS_THRESHOLD',
    }),
    requestTimeoutMs: milliseconds(
      30_000,
      'How long one request to a destination may take; for the database, database.statementTimeoutMs applies if it is shorter',
      { env: 'CIRCUIT_BREAKER_REQUEST_TIMEOUT_MS' },
    ),
    overrides: Type.Record(Type.String(), BreakerPolicy, {
      default: shippedOverrides,
      env: 'CIRCUIT_BREAKER_OVERRIDES',
      description:
        'Other values for some breakers, as JSON; what is not named keeps what it has: {"database": {"recoveryMs": 1000}, "webhook": {"requestTimeoutMs": 5000}}',
    }),
  },
  { description: 'Circuit breakers around the database and every destination of alerts' },
)
