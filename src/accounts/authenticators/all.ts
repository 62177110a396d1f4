import type { Config } from '../../config/load.ts'
import type { Authenticator } from '../../http/admission/authenticator.ts'
import { createAdminToken } from './admin-token.ts'
import { createApiKey } from './api-key.ts'
import { createExportKey } from './export-key.ts'
import { createMetricsToken } from './metrics-token.ts'
import { createPingKey } from './ping-key.ts'
import type { KeyLookup } from './project-key.ts'

/**
 * In the order in which they are asked, first those without a query. If none accepts a call, the last refusal is the
 * answer.
 */
export function createAuthenticators(config: Config, projects: KeyLookup): Authenticator[] {
  return [
    createMetricsToken(config),
    createAdminToken(config.security),
    createExportKey(projects),
    createPingKey(projects),
    createApiKey(projects),
  ]
}
