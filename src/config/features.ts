// Settings of optional features that are off by default.
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
