// The table of permissions. A route requires one of them, from any kind of caller; an authenticator grants those of a role.

/**
 * reader: sees a project's checks. editor: may do everything in a project, and sees what is secret to a reader. sender: sends its
 * heartbeats. exporter: copies its status to another monitoring system. collector: reads the service's own metrics. operator: operates the
 * service.
 */
type Role = 'reader' | 'editor' | 'sender' | 'exporter' | 'collector' | 'operator'

const rolesOf = {
  'acknowledgements:read': ['editor'],
  'acknowledgements:write': ['editor'],
  'audit:read': ['editor', 'operator'],
  'badges:read': ['reader', 'editor'],
  'channels:read': ['editor'],
  'channels:write': ['editor'],
  'checks:read': ['reader', 'editor'],
  'checks:write': ['editor'],
  'definitions:read': ['editor'],
  'deliveries:read': ['reader', 'editor'],
  'deliveries:write': ['editor'],
  'health-metrics:read': ['reader', 'editor', 'operator'],
  'heartbeats:read': ['editor'],
  'heartbeats:write': ['sender', 'editor'],
  'keys:write': ['editor'],
  'maintenance:read': ['editor'],
  'maintenance:write': ['editor'],
  'metrics:read': ['collector'],
  'project-metrics:read': ['exporter'],
  'projects:read': ['operator'],
  'projects:write': ['operator'],
  'quarantine:read': ['operator'],
  'quarantine:write': ['operator'],
  'quota:read': ['reader', 'editor'],
  'service-alerts:read': ['operator'],
  'service:operate': ['operator'],
} as const satisfies Record<string, readonly Role[]>

export type Permission = keyof typeof rolesOf

const all = Object.keys(rolesOf) as Permission[]

/** Calls whose rate is not limited, because a limit would lose heartbeats or metrics. */
const unlimited: readonly Permission[] = ['heartbeats:write', 'metrics:read']

/**
 * What a route requires that has no permission. public: nothing. probe: nothing, because it says whether the process works. signed-link: the
 * link itself, which its route verifies. ingest: an address that is the credential. replica: the token of another replica, which its route
 * verifies.
 */
export type Requirement = Permission | 'public' | 'probe' | 'signed-link' | 'ingest' | 'replica'

export function isPermission(requirement: Requirement): requirement is Permission {
  return requirement in rolesOf
}

export function permissionsOf(role: Role): readonly Permission[] {
  return all.filter((permission) => (rolesOf[permission] as readonly Role[]).includes(role))
}

/** Whether the rate of calls is limited at routes that require this. */
export const isLimited = (permission: Permission): boolean => !unlimited.includes(permission)

export function isForOperatorsAlone(requirement: Requirement): boolean {
  return isPermission(requirement) && rolesOf[requirement].every((role) => role === 'operator')
}
