// Whether a database server has room for every process that may be connected at once: those that run, and those that a roll-out starts
// before it stops the old ones.

/** What the service is set to. `reserve` is left to others: backups, monitoring, somebody with psql. */
export type ConnectionPlan = { poolMax: number; replicas: number; replicasSurge: number; reserve: number }

/** What the server says; limits of the role and of the database are null where there are none. */
export type ConnectionLimits = {
  maxConnections: number
  reserved: number
  roleLimit: number | null
  databaseLimit: number | null
  inUse: number
}

export type ConnectionRoom = { needed: number; available: number; isShort: boolean }

/** `poolMax × (replicas + replicasSurge)` must fit into what the server allows; and one pool into what is free now. */
export function connectionRoom(plan: ConnectionPlan, limits: ConnectionLimits): ConnectionRoom {
  const needed = plan.poolMax * (plan.replicas + plan.replicasSurge)
  const allowed = [
    limits.maxConnections - limits.reserved,
    limits.roleLimit ?? Number.POSITIVE_INFINITY,
    limits.databaseLimit ?? Number.POSITIVE_INFINITY,
  ]
  const available = Math.min(...allowed) - plan.reserve
  const free = limits.maxConnections - limits.reserved - limits.inUse
  return { needed, available, isShort: needed > available || plan.poolMax > free }
}
