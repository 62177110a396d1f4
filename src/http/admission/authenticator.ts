// An authenticator is one way in which callers prove who they are. accounts/plugin.ts asks it at the routes whose
// permission its principals can have; rate limits and the description of the API derive from it. A new one is a file and
// a line: in accounts/authenticators/all.ts, or in the plugin of the module that owns its secret.

import type { FastifyRequest } from 'fastify'
import type { ErrorCode } from '../../core/errors.ts'
import type { Permission } from '../../core/permissions.ts'
import type { RateScope } from './rate-limit.ts'

/** The caller. */
export type Principal = {
  /** The name of its authenticator, or why there is none: `anonymous`, `unverified`. */
  kind: string
  /** Names the caller in the audit log and in the log. */
  label: string
  /** Empty for a caller without a project, and for a key whose project is unknown while the database is unavailable. */
  projectIds: readonly string[]
  permissions: readonly Permission[]
  /** The hash of a key whose project is resolved later. */
  keyHash?: string
}

export type AuthRefusal = {
  /** For the audit trail; null if the address pretends not to exist, which is no failed authentication. */
  reason: 'missing' | 'wrong_token' | 'wrong_key' | 'read_only' | null
  code: ErrorCode
  message: string
  /** The project to which the credential belongs. */
  projectId?: string
}

/** A security scheme of OpenAPI. */
export type SecurityScheme = { description: string } & (
  | { type: 'apiKey'; in: 'header' | 'cookie'; name: string }
  | { type: 'http'; scheme: 'bearer' }
)

export type Authenticator = {
  /** Unique. */
  name: string
  /** All permissions that its principals can have. Routes that require another one never ask it. */
  permissions: readonly Permission[]
  /** How the calls of its principals are counted, at routes with a limit; null if they are not. */
  rateScope: RateScope | null
  /** Its security schemes in the description of the API. One of them is enough. */
  schemes: Readonly<Record<string, SecurityScheme>>
  /** Whether it can accept a call without a credential. */
  isOptional?: boolean
  /** The answer to a credential that is wrong, or does not permit the call. */
  wrong: string
  /**
   * Whether the credential can only be in the body, so that this authenticator is asked after the body has been read.
   */
  isInBody?: (request: FastifyRequest) => boolean
  /** Whether the address is its credential, so that this authenticator is asked once the address is known to be valid. */
  isAddress?: boolean
  /** Null if the request has no credential of this kind. Compares secrets in constant time. */
  authenticate: (request: FastifyRequest) => Promise<Principal | AuthRefusal | null> | Principal | AuthRefusal | null
}
