// Whether a database server has enough connections for every process that may run at once: the usual ones, and those
// that a roll-out starts before it stops the old ones.

/** The settings of the service. `reserve` is for others: backups, monitoring, somebody with psql. */
export type ConnectionPlan = { poolMax: number; replicas: number; replicasSurge: number; reserve: number }

/** The limits of the server; those of the role and of the database are null if there are none. */
export type ConnectionLimits = {
  maxConnections: number
  reserved: number
  roleLimit: number | null
  databaseLimit: number | null
  inUse: number
}

export type ConnectionRoom = { needed: number; available: number; isShort: boolean }

/**
 * `poolMax × (replicas + replicasSurge)` must fit into the limits of the server, and one pool into what is free now.
 */
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
