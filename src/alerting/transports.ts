import type { Transport } from './transport.ts'
import { webhook } from './transports/webhook.ts'

export const transports = { webhook } satisfies Record<string, Transport>
