// The documents that calls give and take, for the description. An example stands beside each.

import { type TSchema, Type } from 'typebox'
import { wireFields } from '../checks/fields.ts'
import { errorSchemas } from '../http/api-schema.ts'

const text = (description: string) => Type.String({ description })
const flag = (description: string) => Type.Boolean({ description })
const whole = (description: string) => Type.Integer({ description })
const atMost = (maxLength: number, description: string) => Type.String({ maxLength, description })
const nullable = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const optional = Type.Optional
const closed = { additionalProperties: false }

const keywordsMax = 200

type Schemas = Record<string, TSchema>
const schemasOf = (list: typeof wireFields): Schemas =>
  Object.fromEntries(list.map(({ name, type, about }) => [name, type.schema({ description: about })]))

/** What may be set, beside what Healthchecks knows. */
const extensions = schemasOf(wireFields.filter(({ isOurs }) => isOurs))
const schedule = schemasOf(wireFields.filter(({ isSchedule }) => isSchedule))
const settings = schemasOf(wireFields.filter(({ isOurs, isSchedule }) => !isOurs && !isSchedule))

const keywords = {
  subject: atMost(keywordsMax, 'Older name of success_kw'),
  subject_fail: atMost(keywordsMax, 'Older name of failure_kw'),
}

const eachOptional = <T extends Record<string, ReturnType<typeof Type.String> | object>>(fields: T) =>
  Object.fromEntries(Object.entries(fields).map(([name, schema]) => [name, optional(schema as never)]))

const Check = Type.Object(
  {
    ...settings,
    ...keywords,
    n_pings: whole('Heartbeats recorded'),
    status: Type.String({
      enum: ['new', 'up', 'grace', 'down', 'paused', 'started'],
      description: '`started` in version 1 only, while a run is open',
    }),
    started: flag('A run is open'),
    last_ping: nullable('When the last success or failure came'),
    next_ping: nullable('When the next is due'),
    badge_url: text('Its badge'),
    last_duration: optional(whole('Seconds of the last run, if known')),
    ...eachOptional(schedule),
    ...eachOptional({
      uuid: text('For a read-write key only, like the addresses'),
      ping_url: text('Where heartbeats go'),
      update_url: text('Where the check is changed'),
      pause_url: text('Where it is paused'),
      resume_url: text('Where it is resumed'),
      channels: text('Ids of its channels, joined by commas'),
      unique_key: text('For a read-only key, in place of the above'),
    }),
    ...eachOptional(extensions),
  },
  closed,
)

const CheckSettings = Type.Object(
  {
    ...eachOptional({ ...settings, ...schedule, ...keywords }),
    ...Object.fromEntries(
      Object.entries(extensions).map(([name, schema]) => [name, optional(Type.Union([schema as never, Type.Null()]))]),
    ),
    channels: optional(
      atMost(100_000, '`*` for all of the project, or ids and names joined by commas; absent: unchanged'),
    ),
    unique: optional(
      Type.Array(Type.String({ enum: ['name', 'slug', 'tags', 'timeout', 'grace'] }), {
        description: 'On create: a check that equals this one in all of these fields is updated instead',
      }),
    ),
    api_key: optional(text('In place of the header X-Api-Key')),
  },
  { description: 'Everything is optional. `null` takes a field of our own away again.' },
)

const Definition = Type.Object(
  {
    ...eachOptional({ ...settings, ...schedule, ...extensions }),
    uuid: optional(
      text('Which check is meant, and the one that a new check gets; without it the slug or the name says so'),
    ),
    badge_key: optional(text('The uuid in the address of its badge')),
    channels: optional(Type.Union([Type.Literal('*'), Type.Array(Type.String())], { description: 'Ids and names' })),
    paused: optional(flag('Whether it is paused')),
  },
  {
    ...closed,
    description:
      'A uuid, a slug or a name is needed. What is not said has its default; channels, paused and paused_until are left as they are.',
  },
)

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

const Flip = Type.Object({ timestamp: Type.String(), up: Type.Integer({ minimum: 0, maximum: 1 }) }, closed)

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

const ApplyResult = Type.Object(
  {
    index: Type.Union([Type.Integer(), Type.Null()]),
    uuid: nullable('Of the check; null for one that was refused'),
    name: Type.String(),
    action: Type.String({ enum: ['created', 'updated', 'unchanged', 'deleted', 'failed'] }),
    changes: optional(Type.Object({ before: Type.Object({}), after: Type.Object({}) }, closed)),
    error: optional(Type.String()),
  },
  closed,
)

export const components = {
  Check,
  CheckSettings,
  Definition,
  Ping,
  Flip,
  Channel,
  Delivery,
  Maintenance,
  Attention,
  ApplyResult,
  ...errorSchemas,
}
