// The table of permissions. A route requires one permission, whatever the kind of caller; an authenticator grants the
// permissions of a role.

/**
 * reader: reads a project's checks. editor: may do everything in a project, and reads what is secret to a reader.
 * sender: sends its heartbeats. exporter: copies its status to another monitoring system. collector: reads the
 * service's own metrics. operator: operates the service. recipient: has a link of a message, which opens one page.
 * replica: is another process of this service.
 */
type Role = 'reader' | 'editor' | 'sender' | 'exporter' | 'collector' | 'operator' | 'recipient' | 'replica'

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
  'handovers:write': ['replica'],
  'health-metrics:read': ['reader', 'editor', 'operator'],
  'heartbeats:read': ['editor'],
  'heartbeats:write': ['sender', 'editor'],
  'keys:write': ['editor'],
  'links:acknowledge': ['recipient'],
  'links:confirm': ['recipient'],
  'links:show-check': ['recipient'],
  'links:unsubscribe': ['recipient'],
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

/**
 * The requirement of a route without a permission. public: none. probe: none, because it says whether the process
 * works. ingest: no permission, because the address of the request is the credential.
 */
export type Requirement = Permission | 'public' | 'probe' | 'ingest'

export function isPermission(requirement: Requirement): requirement is Permission {
  return requirement in rolesOf
}

export function permissionsOf(role: Role): readonly Permission[] {
  return all.filter((permission) => (rolesOf[permission] as readonly Role[]).includes(role))
}

/** Whether routes that require this permission have a rate limit. A limit would lose heartbeats. */
export const isLimited = (permission: Permission): boolean => permission !== 'heartbeats:write'

export function isOperatorOnly(requirement: Requirement): boolean {
  return isPermission(requirement) && rolesOf[requirement].every((role) => role === 'operator')
}
