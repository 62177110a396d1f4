// The dialects that are served over HTTP.

import type { Dialect } from './dialect.ts'
import { healthchecks } from './healthchecks.ts'
import { uptimeKuma } from './uptime-kuma.ts'

export const dialects: readonly Dialect[] = [healthchecks, uptimeKuma]
