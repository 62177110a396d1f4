import { Type } from 'typebox'
import { Uuid } from '../http/schema.ts'
import { uuidPattern } from '../kit/identifier.ts'
import { deliveryStatuses } from './deliveries-store.ts'
import { severities } from './silence.ts'

const closed = { additionalProperties: false }

// PostgreSQL stores any character but NUL.
const Name = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\u0000]*$' })
/** What is in there is each transport's own matter. */
const Settings = Type.Object({}, { additionalProperties: true })

const Seconds = Type.Integer({ minimum: 60, maximum: 365 * 86_400 })
const Time = Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$' })
const QuietHours = Type.Object({ from: Time, to: Time, tz: Type.String({ maxLength: 36 }) }, closed)
const Alerts = Type.Object(
  {
    events: Type.Optional(Type.Array(Type.Enum(['down', 'up']), { minItems: 1, maxItems: 2, uniqueItems: true })),
    severities: Type.Optional(
      Type.Array(Type.Enum([...severities]), { minItems: 1, maxItems: severities.length, uniqueItems: true }),
    ),
    quiet_hours: Type.Optional(QuietHours),
    remind_every: Type.Optional(Seconds),
    escalate: Type.Optional(Type.Object({ to: Uuid, after: Seconds }, closed)),
  },
  closed,
)

export const ChannelId = Type.Object({ id: Uuid })

export const NewChannel = Type.Object(
  {
    kind: Type.String({ maxLength: 20 }),
    name: Name,
    settings: Settings,
    checks: Type.Optional(Type.Literal('*')),
    alerts: Type.Optional(Alerts),
  },
  closed,
)

export const ChannelChange = Type.Object(
  {
    name: Type.Optional(Name),
    settings: Type.Optional(Settings),
    alerts: Type.Optional(Type.Union([Alerts, Type.Null()])),
  },
  closed,
)

export const NewMaintenance = Type.Object(
  {
    name: Name,
    from: Type.Optional(Type.String({ maxLength: 300 })),
    to: Type.Optional(Type.String({ maxLength: 300 })),
    cron: Type.Optional(Type.String({ maxLength: 100 })),
    duration: Type.Optional(Type.Integer({ minimum: 60, maximum: 7 * 86_400 })),
    tz: Type.Optional(Type.String({ maxLength: 36 })),
    checks: Type.Optional(Type.Array(Uuid, { minItems: 1, maxItems: 1000, uniqueItems: true })),
    tags: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^\\s\\u0000]{1,500}$' }), { minItems: 1, maxItems: 100, uniqueItems: true }),
    ),
  },
  closed,
)

// A caller with a read-only key knows checks and channels by their unique keys.
const UuidOrKey = Type.String({ pattern: `^(${uuidPattern}|[0-9a-f]{40})$` })

export const DeliveryQuery = Type.Object(
  {
    check: Type.Optional(UuidOrKey),
    channel: Type.Optional(UuidOrKey),
    status: Type.Optional(Type.Enum([...deliveryStatuses])),
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    after: Type.Optional(Type.String({ maxLength: 200 })),
  },
  closed,
)
