// The supported dialects.

import type { Dialect } from './dialect.ts'
import { email } from './email/email.ts'
import { healthchecks } from './healthchecks/healthchecks.ts'
import { uploads } from './uploads/uploads.ts'
import { uptimeKuma } from './uptime-kuma.ts'

export const dialects: readonly Dialect[] = [healthchecks, uptimeKuma, uploads, email]

/** Patterns of the addresses whose first parameter is a credential, which the log must not show. */
export const secretAddresses: readonly string[] = dialects.flatMap((dialect) =>
  dialect.kind === 'pings' ? dialect.routes.map(({ path }) => path) : [],
)
