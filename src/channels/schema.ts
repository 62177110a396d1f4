import { Type } from 'typebox'
import { Uuid } from '../http/schemas/types.ts'
import { severities } from './wanted-alerts.ts'

const closed = { additionalProperties: false }

// PostgreSQL stores any character but NUL.
const Name = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\u0000]*$' })
/** Each transport checks its own. */
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
