import assert from 'node:assert/strict'
import { sql } from '../postgres.ts'

/** All rows of all tables; without the trace that the restore itself leaves. */
export async function kindsByContent(url: string): Promise<Record<string, string[]>> {
  const tables = await sql<{ name: string }>(
    url,
    "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1",
  )
  const contents: Record<string, string[]> = {}
  for (const { name } of tables.filter((table) => table.name !== '_prisma_migrations')) {
    const rows = await sql<{ row: string }>(url, `SELECT t::text AS row FROM "${name}" t ORDER BY 1`)
    contents[name] = rows.map(({ row }) => row).filter((row) => !row.includes('database.restore'))
  }
  assert.ok(contents.heartbeats && contents.heartbeats.length > 0)
  return contents
}
