import type pg from 'pg'

/** The server refuses the connection, or its version is too old: waiting does not change that. */
export class DatabaseRefusedError extends Error {
  override name = 'DatabaseRefusedError'
}

const oldestSupported = 150000

export async function requireSupportedServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::int AS version",
  )
  const version = rows[0]?.version ?? 0
  if (version >= oldestSupported) return
  throw new DatabaseRefusedError(
    `PostgreSQL 15 or newer is needed, the server is version ${Math.floor(version / 10000)}`,
  )
}
