import type { Database } from '../../database/service.ts'
import type { ApiVersion } from '../../http/schemas/healthchecks-api.ts'
import { isoMicroseconds } from '../../kit/instant.ts'
import { type HistoryRow, selectBody, selectNewest } from './history-store.ts'

/** One ping as Healthchecks documents it (https://healthchecks.io/docs/api/, "List check's logged pings"). */
export type PingDocument = Record<string, string | number | null>

/** The bodies of older pings are not shown. */
const bodiesMax = 1000

export type HeartbeatHistory = ReturnType<typeof createHistory>

export function createHistory(options: { database: Database; siteUrl: () => string }) {
  const { database, siteUrl } = options

  function document(checkId: string, version: ApiVersion, row: HistoryRow): PingDocument {
    const bodyUrl = `${siteUrl()}/api/v${version}/checks/${checkId}/pings/${row.n}/body`
    return {
      type: row.kind,
      date: isoMicroseconds(row.receivedAt),
      n: row.n,
      scheme: row.scheme,
      remote_addr: row.remoteAddr,
      method: row.method,
      ua: row.ua,
      rid: row.rid,
      body_url: row.bodySize > 0 ? bodyUrl : null,
      ...(row.durationMs === null ? {} : { duration: Math.round(row.durationMs / 10) / 100 }),
    }
  }

  return {
    /** The newest first. */
    async pings(checkId: string, version: ApiVersion, limit: number): Promise<PingDocument[]> {
      return (await selectNewest(database, checkId, limit)).map((row) => document(checkId, version, row))
    },
    body: (checkId: string, n: number): Promise<Buffer | null> => selectBody(database, checkId, n, bodiesMax),
  }
}
