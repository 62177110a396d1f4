// Checked once, at the start: a server with too few connections shows only when all replicas are busy, as refused
// connections.

import { statement } from '../sql.ts'
import type { DatabaseLog } from '../telemetry.ts'
import type { Queryable } from './client.ts'
import { type ConnectionLimits, type ConnectionPlan, connectionRoom } from './connection-plan.ts'

const limits = statement<ConnectionLimits>(
  'connection_limits',
  { maxConnections: 'int4', reserved: 'int4', roleLimit: 'int4?', databaseLimit: 'int4?', inUse: 'int8' },
  `SELECT current_setting('max_connections')::int AS "maxConnections",
     current_setting('superuser_reserved_connections')::int
       + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
     (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user) AS "roleLimit",
     (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()) AS "databaseLimit",
     (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS "inUse"`,
)

/** Logs a warning about a server that has too few connections for all replicas. Never rejects. */
export async function checkConnections(on: Queryable, plan: ConnectionPlan, log: DatabaseLog): Promise<void> {
  const [found] = await on.query(limits).catch(() => [])
  if (found === undefined) return
  const { needed, available, isShort } = connectionRoom(plan, found)
  if (!isShort) return
  const { poolMax, replicas, replicasSurge, reserve } = plan
  log.warn(
    { event: 'database.connections_short', needed, available, poolMax, replicas, replicasSurge, reserve, ...found },
    'the database may refuse connections when all replicas are busy: lower database.poolMax, or raise max_connections',
  )
}
