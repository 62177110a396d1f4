// The queue of deliveries as other modules use it, in their own transactions.

import type { DeliveryQueue } from '../../channels/delivery-queue.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { endFlipsOfProject } from '../outbox/outbox-store.ts'
import { deleteOfCheck } from './deletion-store.ts'
import { insertConfirmationRequest, insertProjectNotice } from './operator-notices-store.ts'
import { cancelDeliveries } from './queue-store.ts'

export const deliveryQueue = {
  insertProjectNotice,
  insertConfirmationRequest,
  cancelOfChannel: (tx: Queryable, id: string, now: number): Promise<void> =>
    cancelDeliveries(tx, { by: 'channel', ids: [id] }, 'channel_deleted', now),
  cancelOfCheck: (tx: Queryable, id: string, now: number): Promise<void> =>
    cancelDeliveries(tx, { by: 'check', ids: [id] }, 'check_deleted', now),
  cancelOfProject: async (tx: Queryable, id: string, now: number): Promise<void> => {
    await endFlipsOfProject(tx, id)
    await cancelDeliveries(tx, { by: 'project', ids: [id] }, 'project_deleted', now)
  },
  deleteOfCheck,
} satisfies DeliveryQueue & Record<string, unknown>
