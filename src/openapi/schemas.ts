// The documents that calls give and take, for the description. An example stands beside each.

import { Type } from 'typebox'

const text = (description: string) => Type.String({ description })
const whole = (description: string) => Type.Integer({ description })
const nullable = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const optional = Type.Optional
const closed = { additionalProperties: false }

const Ping = Type.Object(
  {
    type: Type.String({ enum: ['success', 'start', 'fail', 'log', 'ign'] }),
    date: text('ISO 8601 with microseconds'),
    n: whole('Its number, without gaps'),
    scheme: Type.String(),
    remote_addr: Type.String(),
    method: Type.String(),
    ua: Type.String(),
    rid: nullable('Run id'),
    body_url: nullable('Where its body is'),
    duration: optional(Type.Number({ description: 'Seconds since the start of the run that it ends' })),
  },
  closed,
)

const Channel = Type.Object(
  {
    id: Type.String(),
    kind: Type.String(),
    name: Type.String(),
    disabled: optional(nullable('Why it is switched off')),
    alerts: optional(Type.Object({}, { additionalProperties: true, description: 'What it wants to hear' })),
    created: optional(Type.String()),
    disabled_at: optional(nullable('When it was switched off')),
    checks: optional(Type.Integer({ description: 'How many checks tell through it' })),
    last_sent: optional(nullable('When something was last sent')),
    last_error: optional(
      Type.Union([Type.Object({ at: Type.String(), error: Type.String() }, closed), Type.Null()], {
        description: 'Of the newest delivery that has failed',
      }),
    ),
    settings: optional(
      Type.Unknown({ description: 'With secrets masked; a mask that is sent back stands for what it hides' }),
    ),
  },
  closed,
)

const Delivery = Type.Object(
  {
    id: Type.String(),
    check: nullable('Null for a notice, which is about no check; the unique key for a read-only key'),
    channel: text('The unique key, made like that of a check, for a read-only key'),
    event: text('down, up, escalation, notice, reminder, reminder:1 and so on'),
    flip: Type.Union([
      Type.Object({ at: Type.String(), from: Type.String(), to: Type.String(), reason: Type.String() }, closed),
      Type.Null(),
    ]),
    status: Type.String({ enum: ['pending', 'sent', 'retrying', 'dead', 'suppressed'] }),
    attempts: Type.Integer(),
    next_attempt: nullable('When it is tried again'),
    waiting_for: Type.Union(
      [Type.String({ enum: ['slot', 'circuit_breaker', 'retry_after', 'pace', 'encryption_key'] }), Type.Null()],
      { description: 'What keeps its channel from sending it now' },
    ),
    last_error: nullable('What went wrong, or why it was not sent'),
    request_id: nullable('Of the request that caused the flip'),
  },
  closed,
)

const Maintenance = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    from: optional(Type.String()),
    to: optional(Type.String()),
    cron: optional(Type.String()),
    duration: optional(Type.Integer({ description: 'Seconds' })),
    tz: optional(Type.String()),
    checks: optional(Type.Array(Type.String())),
    tags: optional(Type.Array(Type.String())),
    open: Type.Boolean({ description: 'Whether it holds now' }),
  },
  closed,
)

const Attention = Type.Object(
  { acknowledged: Type.Boolean(), snoozed_until: nullable('Null while it is not snoozed') },
  closed,
)

export const components = {
  Ping,
  Channel,
  Delivery,
  Maintenance,
  Attention,
}
