import { Type } from 'typebox'
import { Uuid } from '../http/schemas/types.ts'
import { uuidPattern } from '../kit/identifier.ts'
import { linkToken } from '../messages/link-routes.ts'
import { deliveryStatuses } from './queue/delivery-columns.ts'

const closed = { additionalProperties: false }

export const ById = Type.Object({ id: Uuid })

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

export const NewMaintenance = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\u0000]*$' }),
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

/** The credential of the page that a link in a message opens. */
export const LinkToken = Type.Object({ token: linkToken(200) })
