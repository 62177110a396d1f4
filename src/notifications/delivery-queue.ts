// The queue of deliveries as channels/ sees it.

import type { DeliveryQueue } from '../channels/delivery-queue.ts'
import { insertConfirmationRequest, insertNotice } from './operator-notices-store.ts'
import { cancelOfChannel } from './queue-store.ts'

export const deliveryQueue: DeliveryQueue = {
  insertProjectNotice: insertNotice,
  insertConfirmationRequest,
  cancelOfChannel,
}
