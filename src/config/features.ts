// Settings of optional features that are off by default; those of OpenTelemetry have the names of its specification.
import { Type } from 'typebox'
import { integer, milliseconds, secret } from './kinds.ts'

export const features = Type.Object(
  {
    provisionFile: Type.Optional(
      Type.String({
        env: 'PROVISION_FILE',
        reading: 'directory',
        description:
          'YAML or JSON file of projects, keys, channels, checks and maintenance windows, which each start applies',
      }),
    ),
    slackWebhookUrl: secret(
      'SLACK_WEBHOOK_URL',
      'Incoming webhook of Slack: each start makes sure that the default project has a channel for it',
      '^https?://[^\\s@]+$',
      'must be an http:// or https:// URL',
    ),
    pagerdutyKey: secret(
      'PAGERDUTY_KEY',
      'Integration key of PagerDuty (Events API v2): each start makes sure that the default project has a channel for it, for critical alerts',
      '^[A-Za-z0-9]{32}$',
      'must be an integration key: 32 letters and digits',
    ),
    redisUrl: Type.Optional(
      Type.String({
        env: 'REDIS_URL',
        secret: true,
        pattern: '^rediss?://',
        rule: 'must be a redis:// or rediss:// URL',
        description: 'Redis in which replicas count calls together; without it each counts its own',
      }),
    ),
    smtpPort: Type.Optional(
      Type.Integer({
        env: 'SMTP_PORT',
        minimum: 0,
        maximum: 65_535,
        description: 'Port for heartbeats by e-mail; without it none are accepted; 0 picks a free port and logs it',
      }),
    ),
    pingEmailDomain: Type.Optional(
      Type.String({
        env: 'PING_EMAIL_DOMAIN',
        pattern: '^[A-Za-z0-9.:\\[\\]-]+$',
        rule: 'must be a domain',
        description:
          'Domain of the mailboxes that take heartbeats; mail for other domains is refused; without it every domain is accepted',
      }),
    ),
    metricsPort: Type.Optional(
      Type.Integer({
        env: 'METRICS_PORT',
        minimum: 0,
        maximum: 65_535,
        description:
          'Serve /metrics and the probes on this port too, for networks that keep them apart; 0 picks a free one and logs it',
      }),
    ),
    metricsTenantsMax: integer(
      100,
      'How many projects get their own tenant label in the metrics; the others share one; 0 is none',
      {
        minimum: 0,
        maximum: 10_000,
      },
    ),
    selfHeartbeatUrl: Type.Optional(
      Type.String({
        env: 'SELF_HEARTBEAT_URL',
        secret: true,
        pattern: '^https?://',
        rule: 'must be an http:// or https:// URL',
        description:
          'Requested at intervals while this service is healthy, so that another monitor notices when it is not',
      }),
    ),
    selfHeartbeatMs: milliseconds(60_000, 'Interval between two heartbeats of this service'),
    badgeLabel: Type.String({
      default: 'Flatline',
      env: 'BADGE_LABEL',
      maxLength: 100,
      rule: 'must be at most 100 characters',
      description: 'Label of the badge of all checks of a project',
    }),
  },
  { description: 'Optional features' },
)

const signal = (name: string, what: string) =>
  Type.Enum(['otlp', 'none'], {
    default: 'otlp',
    env: `OTEL_${name}_EXPORTER`,
    description: `Whether ${what} are sent to the OTLP endpoint`,
  })

/** Pairs of a header or an attribute and its percent-encoded value. */
const pairs = '^\\s*(?:[^=,\\s]+\\s*=[^,]*(?:,\\s*[^=,\\s]+\\s*=[^,]*)*)?,?\\s*$'
const pairsRule = 'must be a comma-separated list of name=value'

export const telemetry = Type.Object(
  {
    endpoint: Type.Optional(
      Type.String({
        env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
        reading: 'siteUrl',
        description:
          'Base address of an OTLP receiver over HTTP, to which traces, metrics and logs are sent; without it OpenTelemetry is off',
      }),
    ),
    headers: secret('OTEL_EXPORTER_OTLP_HEADERS', 'Headers of requests to the OTLP endpoint', pairs, pairsRule),
    protocol: Type.Enum(['http/protobuf', 'http/json'], {
      default: 'http/protobuf',
      env: 'OTEL_EXPORTER_OTLP_PROTOCOL',
      description: 'Encoding of the requests to the OTLP endpoint',
    }),
    compression: Type.Enum(['none', 'gzip'], {
      default: 'none',
      env: 'OTEL_EXPORTER_OTLP_COMPRESSION',
      description: 'Compression of the requests to the OTLP endpoint',
    }),
    timeoutMs: milliseconds(10_000, 'Time limit of one request to the OTLP endpoint, with its repetitions', {
      env: 'OTEL_EXPORTER_OTLP_TIMEOUT',
    }),
    traces: signal('TRACES', 'traces'),
    metrics: signal('METRICS', 'metrics'),
    logs: signal('LOGS', 'log lines'),
    metricsIntervalMs: milliseconds(60_000, 'Interval between two exports of the metrics', {
      env: 'OTEL_METRIC_EXPORT_INTERVAL',
      minimum: 100,
    }),
    temporality: Type.Enum(['cumulative', 'delta'], {
      default: 'cumulative',
      env: 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE',
      description: 'Whether counters are sent as totals or as differences since the last export',
    }),
    serviceName: Type.String({
      default: 'flatline',
      env: 'OTEL_SERVICE_NAME',
      description: 'Name of this service in traces, metrics and logs',
    }),
    resourceAttributes: Type.Optional(
      Type.String({
        env: 'OTEL_RESOURCE_ATTRIBUTES',
        pattern: pairs,
        rule: pairsRule,
        description: 'Further attributes of this service in traces, metrics and logs',
      }),
    ),
    sampler: Type.Enum(
      [
        'parentbased_always_on',
        'parentbased_always_off',
        'parentbased_traceidratio',
        'always_on',
        'always_off',
        'traceidratio',
      ],
      {
        default: 'parentbased_always_on',
        env: 'OTEL_TRACES_SAMPLER',
        description: 'Which traces are recorded; parentbased follows the decision of the caller, if there is one',
      },
    ),
    samplerArg: Type.Number({
      default: 1,
      minimum: 0,
      maximum: 1,
      env: 'OTEL_TRACES_SAMPLER_ARG',
      description: 'Share of the traces that are recorded, for the samplers with traceidratio',
    }),
    queueMax: integer(2048, 'Spans, and log lines, that wait for the OTLP endpoint; more are dropped', {
      env: 'OTEL_BSP_MAX_QUEUE_SIZE',
      maximum: 1_000_000,
    }),
    delayMs: milliseconds(5000, 'How long spans, and log lines, are gathered before they are sent', {
      env: 'OTEL_BSP_SCHEDULE_DELAY',
    }),
    disabled: Type.Boolean({
      default: false,
      env: 'OTEL_SDK_DISABLED',
      description: 'Switches OpenTelemetry off although the other settings are there',
    }),
    sentryDsn: secret(
      'SENTRY_DSN',
      'Address of a project of Sentry, or of a compatible service, that gets unexpected errors; without it none are sent',
      '^https?://\\w+(?::\\w+)?@[\\w.-]+(?::\\d+)?/(?:[^\\s/]+/)*\\d+$',
      'must be a DSN, as in https://key@host/project',
    ),
    sentryEnvironment: Type.Optional(
      Type.String({
        env: 'SENTRY_ENVIRONMENT',
        description: 'Environment of the errors in Sentry; without it the profile',
      }),
    ),
    sentryRelease: Type.Optional(
      Type.String({
        env: 'SENTRY_RELEASE',
        description: "Release of the errors in Sentry; without it flatline@ and this service's version",
      }),
    ),
  },
  { description: 'OpenTelemetry and error tracking' },
)

/** Off until a bucket is named. */
export const backup = Type.Object(
  {
    s3Bucket: Type.Optional(
      Type.String({
        env: 'BACKUP_S3_BUCKET',
        pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$',
        rule: 'must be the name of a bucket',
        description:
          'Bucket for backups and the archive of the write-ahead log; the embedded database is archived there once it is set',
      }),
    ),
    s3Endpoint: Type.Optional(
      Type.String({
        env: 'BACKUP_S3_ENDPOINT',
        pattern: '^https?://[^/?#@]+/?$',
        rule: 'must be an http:// or https:// URL without a path',
        description: 'Address of the storage; without it that of Amazon S3 in the region',
      }),
    ),
    s3Region: Type.String({
      default: 'us-east-1',
      env: 'BACKUP_S3_REGION',
      pattern: '^[a-z0-9-]{1,63}$',
      rule: 'must be the name of a region',
      description: 'Region of the bucket, which is part of the signature of each request',
    }),
    s3Prefix: Type.String({
      default: 'flatline',
      env: 'BACKUP_S3_PREFIX',
      pattern: '^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,7}$',
      rule: 'must be names of letters, digits, dots and hyphens with / between them',
      description: 'The objects of this installation begin with it; nothing else in the bucket is read or removed',
    }),
    s3AccessKeyId: secret(
      'BACKUP_S3_ACCESS_KEY_ID',
      'Access key for the bucket: to list, read, write and delete objects',
      '^\\S{3,128}$',
      'must be an access key without spaces',
    ),
    s3SecretAccessKey: secret(
      'BACKUP_S3_SECRET_ACCESS_KEY',
      'The secret of the access key',
      '^\\S{8,256}$',
      'must be a secret key without spaces',
    ),
    walTimeoutS: integer(
      60,
      'Seconds after which the embedded database gives its write-ahead log to the archive, which bounds the loss',
      { maximum: 3600 },
    ),
    baseEveryHours: integer(24, 'Hours between two base backups of the embedded database in the bucket', {
      maximum: 24 * 31,
    }),
    keep: integer(2, 'So many of the newest backups of each kind stay in the bucket, however old', { maximum: 1000 }),
    keepDays: integer(30, 'Other backups are removed from the bucket after so many days, with the log before them', {
      maximum: 3650,
    }),
  },
  { description: 'Backups in S3-compatible storage' },
)
