import { Type } from 'typebox'
import { Uuid } from '../http/schema.ts'
import { deliveryStatuses } from './deliveries-store.ts'

const closed = { additionalProperties: false }

// PostgreSQL stores any character but NUL.
const Name = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\u0000]*$' })
/** What is in there is each transport's own matter. */
const Settings = Type.Object({}, { additionalProperties: true })

export const ChannelId = Type.Object({ id: Uuid })

export const NewChannel = Type.Object(
  { kind: Type.String({ maxLength: 20 }), name: Name, settings: Settings, checks: Type.Optional(Type.Literal('*')) },
  closed,
)

export const ChannelChange = Type.Object({ name: Type.Optional(Name), settings: Type.Optional(Settings) }, closed)

export const DeliveryQuery = Type.Object(
  {
    check: Type.Optional(Uuid),
    channel: Type.Optional(Uuid),
    status: Type.Optional(Type.Enum([...deliveryStatuses])),
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    after: Type.Optional(Type.String({ maxLength: 200 })),
  },
  closed,
)
