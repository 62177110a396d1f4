// Calls about the service itself.

import { Type } from 'typebox'
import { json, type Operations, refusals } from './operation.ts'

export const serviceOperations: Operations = {
  'POST /admin/reencrypt': {
    id: 'reencrypt',
    tag: 'service',
    summary: "Encrypt channels' settings with the first ENCRYPTION_KEY, so that the others can go",
    answers: {
      200: json(
        'What was done',
        Type.Object({ channels: Type.Integer(), reencrypted: Type.Integer(), unreadable: Type.Integer() }),
        { channels: 12, reencrypted: 12, unreadable: 0 },
      ),
      ...refusals('ours', 401, 404, 429),
    },
  },
}
