// Rules about several settings together, and the requirements of a profile. A rule is data, so that
// docs/configuration.md lists exactly what is enforced.
import { type Config, settings } from './schema.ts'
import { databaseTarget, keyHex } from './values.ts'

export type SettingRule = { about: readonly string[]; text: string; broken: (config: Config) => boolean }

const quotaRules = (
  ['checks', 'channels', 'newChecksPerHour', 'bodyBytes', 'bodyBytesPerCheck', 'spoolShare'] as const
).map(
  (name): SettingRule => ({
    about: [`quotas.${name}`, `quotas.${name}Max`],
    text: `quotas.${name} must not be more than quotas.${name}Max`,
    broken: ({ quotas }) => quotas[name] > quotas[`${name}Max`],
  }),
)

const fitting: SettingRule[] = [
  {
    about: ['backup.s3Bucket', 'backup.s3AccessKeyId', 'backup.s3SecretAccessKey'],
    text: 'BACKUP_S3_BUCKET needs BACKUP_S3_ACCESS_KEY_ID and BACKUP_S3_SECRET_ACCESS_KEY',
    broken: ({ backup }) =>
      backup.s3Bucket !== undefined && (backup.s3AccessKeyId === undefined || backup.s3SecretAccessKey === undefined),
  },
  {
    about: ['server.shutdownTimeoutMs', 'server.drainMs'],
    text: 'SHUTDOWN_TIMEOUT_MS must be longer than DRAIN_MS, which it includes',
    broken: ({ server }) => server.shutdownTimeoutMs <= server.drainMs,
  },
  {
    about: ['ingest.queueMaxBytes', 'ingest.pingBodyLimitBytes'],
    text: 'the queue must be able to hold a ping of the largest size: queueMaxBytes at least twice PING_BODY_LIMIT',
    broken: ({ ingest }) => ingest.queueMaxBytes < 2 * ingest.pingBodyLimitBytes,
  },
  {
    about: ['ingest.queueMaxBytes', 'ingest.mailLimitBytes'],
    text: 'the queue must be able to hold the largest e-mail: ingest.queueMaxBytes at least twice ingest.mailLimitBytes, if SMTP_PORT is set',
    broken: ({ ingest, features }) =>
      features.smtpPort !== undefined && ingest.queueMaxBytes < 2 * ingest.mailLimitBytes,
  },
  {
    about: ['limits.mailHeldMaxBytes', 'ingest.mailLimitBytes'],
    text: 'limits.mailHeldMaxBytes must be able to hold the largest e-mail, ingest.mailLimitBytes',
    broken: ({ limits, ingest }) => limits.mailHeldMaxBytes < ingest.mailLimitBytes,
  },
  {
    about: ['ingest.batchMax', 'ingest.queueMaxEntries'],
    text: 'ingest.batchMax must not be larger than ingest.queueMaxEntries',
    broken: ({ ingest }) => ingest.batchMax > ingest.queueMaxEntries,
  },
  {
    about: ['detector.blindAfterMs', 'detector.acceptanceIntervalMs'],
    text: 'detector.blindAfterMs must be at least twice detector.acceptanceIntervalMs, or one late record is a blind window',
    broken: ({ detector }) => detector.blindAfterMs < 2 * detector.acceptanceIntervalMs,
  },
  {
    about: ['alerting.retryBaseMs', 'alerting.retryMaxMs'],
    text: 'alerting.retryBaseMs must not be longer than alerting.retryMaxMs',
    broken: ({ alerting }) => alerting.retryBaseMs > alerting.retryMaxMs,
  },
  {
    about: ['log.destination', 'log.file'],
    text: 'LOG_DESTINATION=file or both needs LOG_FILE',
    broken: ({ log }) => ['file', 'both'].includes(log.destination) && log.file === undefined,
  },
  {
    about: ['retention.deliveriesDays', 'retention.flipsDays'],
    text: 'retention.deliveriesDays must not be longer than retention.flipsDays: an alert needs its status change',
    broken: ({ retention }) => retention.deliveriesDays > retention.flipsDays,
  },
  {
    about: ['alerting.smtpFrom', 'alerting.smtpHost'],
    text: 'SMTP_RELAY_HOST and SMTP_RELAY_FROM must be set together',
    broken: ({ alerting }) => (alerting.smtpHost === undefined) !== (alerting.smtpFrom === undefined),
  },
  {
    about: ['alerting.smtpPassword', 'alerting.smtpUser'],
    text: 'SMTP_RELAY_USER and SMTP_RELAY_PASSWORD must be set together',
    broken: ({ alerting }) => (alerting.smtpUser === undefined) !== (alerting.smtpPassword === undefined),
  },
  {
    about: ['alerting.smtpSecurity', 'alerting.smtpUser'],
    text: 'a password is not sent without TLS: SMTP_RELAY_SECURITY must be tls or starttls if SMTP_RELAY_USER is set',
    broken: ({ alerting }) =>
      alerting.smtpUser !== undefined && ['none', 'opportunistic'].includes(alerting.smtpSecurity),
  },
]

const callLimits = [
  ['limits.callsPerMinute', (config: Config) => config.limits.callsPerMinute],
  ['limits.authFailuresPerMinute', (config: Config) => config.limits.authFailuresPerMinute],
  ['admin.callsPerMinute', (config: Config) => config.admin.callsPerMinute],
] as const

const profileDemands: SettingRule[] = [
  ...callLimits.map(([path, limit]) => ({
    about: [path],
    text: 'must not be 0 in production, which switches the limit off',
    broken: (config: Config) => config.environment === 'production' && limit(config) === 0,
  })),
  {
    about: ['security.adminTokenPrevious'],
    text: 'needs ADMIN_TOKEN, which replaces it',
    broken: ({ security }) => security.adminTokenPrevious !== undefined && security.adminToken === undefined,
  },
  {
    about: ['security.metricsTokenPrevious'],
    text: 'needs METRICS_TOKEN, which replaces it',
    broken: ({ security }) => security.metricsTokenPrevious !== undefined && security.metricsToken === undefined,
  },
  {
    about: ['security.encryptionKey'],
    text: 'is required outside the local profile',
    broken: ({ environment, security }) => environment !== 'local' && !security.encryptionKey,
  },
  {
    about: ['security.adminToken'],
    text: 'is required in production',
    broken: ({ environment, security }) => environment === 'production' && !security.adminToken,
  },
  {
    about: ['security.adminToken'],
    text: 'must not be a placeholder in production',
    broken: ({ environment, security }) => environment === 'production' && isPlaceholder(security.adminToken ?? ''),
  },
  {
    about: ['security.encryptionKey'],
    text: 'must not be a placeholder in production',
    broken: ({ environment, security }) =>
      environment === 'production' && (security.encryptionKey ?? []).some(isPlaceholder),
  },
  {
    about: ['database.url'],
    text: 'is required in production, unless ALLOW_EMBEDDED_DATABASE=true',
    broken: ({ environment, database }) => environment === 'production' && !database.url && !database.allowEmbedded,
  },
  {
    about: ['database.url'],
    text: 'must ask for TLS in production when the database is remote (sslmode=require, verify-ca or verify-full), unless DATABASE_ALLOW_PLAINTEXT=true',
    broken({ environment, database }) {
      if (environment !== 'production' || !database.url || database.allowPlaintext) return false
      const target = databaseTarget(database.url)
      return target?.remote === true && !target.encrypted
    },
  },
]

/** One character repeated, or the words of examples. */
function isPlaceholder(secret: string): boolean {
  return /^(.)\1+$/.test(secret) || /change[-_ ]?me|example|placeholder|your[-_ ]|secret[-_ ]?key/i.test(secret)
}

export const rules: readonly SettingRule[] = [...fitting, ...quotaRules, ...profileDemands]

/** Pairs of secrets with the same value, as paths, whichever way a key was written. */
export function sharedSecrets(config: Config): [string, string][] {
  const owners = new Map<string, string>()
  const pairs: [string, string][] = []
  for (const { path } of settings.filter((setting) => setting.path.startsWith('security.') && setting.secret)) {
    const value = config.security[path.slice('security.'.length) as keyof Config['security']] ?? []
    for (const secret of typeof value === 'string' ? [value] : value) {
      const owner = owners.get(keyHex(secret) ?? secret)
      if (owner) pairs.push([path, owner])
      else owners.set(keyHex(secret) ?? secret, path)
    }
  }
  return pairs
}
