// A group sends through other channels of the project: each of them gets its own delivery, with its own attempts.

import { type Static, Type } from 'typebox'
import { uuidPattern } from '../../kit/identifier.ts'
import type { Transport } from '../wire/transport.ts'

const membersMax = 50

const Settings = Type.Object(
  {
    channels: Type.Array(Type.String({ pattern: `^${uuidPattern}$`, rule: 'must be ids of channels' }), {
      minItems: 1,
      maxItems: membersMax,
      uniqueItems: true,
    }),
  },
  { additionalProperties: false },
)

export const group: Transport<Static<typeof Settings>> = {
  kind: 'group',
  category: 'custom',
  settings: Settings,
  channels: ({ channels }) => channels,
  send: async (_message, { channels }) => ({ forwarded: channels }),
}
