// Notifications on a database of its own, without the app: replicas with a clock that the test moves, checks and flips as rows.

import { randomBytes, randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { writeAudit } from '../../src/audit/store.ts'
import { createBlindTime } from '../../src/blind-time/service.ts'
import { type ChannelLimits, type ChannelService, createChannelService } from '../../src/channels/service.ts'
import { transports } from '../../src/channels/transports.ts'
import type { Transport } from '../../src/channels/wire/transport.ts'
import { defaultSettings } from '../../src/checks/fields/fields.ts'
import { replaceChannels } from '../../src/checks/relations/channels-store.ts'
import { createChecks } from '../../src/checks/service.ts'
import { insertCheck } from '../../src/checks/store.ts'
import { type CircuitBreakers, createCircuitBreakers } from '../../src/circuit-breakers/service.ts'
import { loadConfig } from '../../src/config/load.ts'
import { readMigrations } from '../../src/database/migrate.ts'
import { createDatabase as createDatabaseService, type Database } from '../../src/database/service.ts'
import { deliveryQueue } from '../../src/notifications/queue/delivery-queue.ts'
import { createNotifications, type NotificationLimits, type Notifications } from '../../src/notifications/service.ts'
import { createGuardedFetch } from '../../src/outbound/guarded-fetch.ts'
import { createQuotas } from '../../src/quotas/service.ts'
import { patience } from '../patience.ts'
import { createDatabase, sql } from '../postgres.ts'

type Replica = { database: Database; channels: ChannelService; notifications: Notifications }
type Overrides = Partial<ChannelLimits & NotificationLimits> & { failureThreshold?: number; requestTimeoutMs?: number }

const limits: ChannelLimits & NotificationLimits = {
  concurrency: 64,
  leaseMs: 15_000,
  testsPerMinute: 10,
  confirmRecipients: true,
  mailsPerHour: 200,
  retryBaseMs: 1000,
  retryMaxMs: 60_000,
  retryForMs: 86_400_000,
  flappingOutages: 10,
  stormSingly: 25,
  stormGatherMs: 10_000,
  suspectMs: 3_600_000,
}
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const unmeasured = { statement() {}, attempt() {}, failure() {} }
const unguarded = { run: <T>(work: () => Promise<T>) => work() }

export async function createWorld(t: TestContext, kinds: Record<string, Transport> = transports) {
  const url = await createDatabase(t)
  const keys = [randomBytes(32)]
  const clock = { now: Date.now() }
  const projectId = randomUUID()
  await sql(url, "INSERT INTO projects (id, name) VALUES ($1, 'test')", [projectId])
  const caller = { projectId, actor: 'api_key', requestId: 'r-1' }

  async function replica({ failureThreshold = 5, requestTimeoutMs = patience(2000), ...overrides }: Overrides = {}) {
    const config = loadConfig({ env: { DATABASE_URL: url } })
    const database = createDatabaseService({
      config,
      log: silent,
      migrations: readMigrations(),
      metrics: unmeasured,
      breaker: unguarded,
    })
    await database.open(new AbortController().signal)
    t.after(() => database.close())
    const quotas = createQuotas({ database, writeAudit, config: config.quotas })
    const checks = createChecks({
      database,
      writeAudit,
      quotas,
      blindTime: createBlindTime({
        database,
        blindAfterMs: 2000,
        acceptanceIntervalMs: 500,
        patience: { afterOutageMs: 300_000, unheardMs: 60_000 },
      }),
      siteUrl: () => 'http://flatline.example',
      cancelDeliveries: deliveryQueue.cancelOfCheck,
      deleteHistory: [],
      onFlip: () => undefined,
      log: { info() {} },
      encryption: () => channels.encryption,
    })
    const own = { ...limits, ...overrides }
    const outcomes: string[] = []
    const lines: Record<string, unknown>[] = []
    const write = (line: object) => lines.push(line as Record<string, unknown>)
    const breakers: CircuitBreakers = createCircuitBreakers({
      settingsOf: () => ({
        failureThreshold,
        recoveryMs: 60_000,
        successThreshold: 3,
        requestTimeoutMs,
      }),
      monotonic: () => clock.now,
      wall: () => clock.now,
      onChange: () => undefined,
      count: () => undefined,
    })
    const shared = {
      database,
      writeAudit,
      siteUrl: () => 'http://flatline.example',
      limits: own,
      log: { info: write, warn: write, error: write },
      now: () => clock.now,
    }
    const channels = createChannelService({
      ...shared,
      keys,
      transports: kinds,
      fetch: createGuardedFetch({
        allowPrivateTargets: true,
        timeoutMs: requestTimeoutMs,
        responseMaxBytes: 1000,
        userAgent: 'Flatline/test',
      }),
      capabilities: { smtp: null, shell: false },
      queue: deliveryQueue,
      breakers,
      quotas,
      observe: () => undefined,
      signingSecrets: checks.signing.column,
    })
    const notifications = createNotifications({
      ...shared,
      channels,
      checkViews: checks.views,
      checkOfKey: checks.idOfKey,
      settingsOf: async (project, id) => (await checks.find(project, id)).settings,
      onFree: () => undefined,
      count: (kind, outcome) => outcomes.push(`${kind} ${outcome}`),
      timed: () => undefined,
      random: () => 0.5,
      traced: (_, attempt) => attempt(),
    })

    return {
      database,
      checks,
      breakers,
      channels,
      notifications,
      outcomes,
      lines,
      /** Both steps, once, and the end of what they started. */
      async turn(): Promise<void> {
        await notifications.relay()
        while (await notifications.claim());
        await notifications.drain(10_000)
      },
    }
  }

  return {
    url,
    clock,
    caller,
    projectId,
    replica,

    async check(on: Replica, channelIds: string[], name = 'nightly'): Promise<string> {
      const id = randomUUID()
      const settings = { ...defaultSettings, name }
      await insertCheck(on.database, { id, projectId, badgeKey: randomUUID(), createdAt: clock.now, settings })
      await replaceChannels(on.database, id, channelIds)
      return id
    },

    webhook: async (on: Replica, settings: object): Promise<string> =>
      (await on.channels.create(caller, { kind: 'webhook', name: 'hook', settings })).id,

    channel: async (on: Replica, kind: string, settings: object): Promise<string> =>
      (await on.channels.create(caller, { kind, name: kind, settings })).id,

    /** Flips to these statuses, numbered from `first`, a second apart. */
    async flips(checkId: string, statuses: string[], first = 1): Promise<void> {
      for (const [index, to] of statuses.entries()) {
        await sql(
          url,
          `INSERT INTO flips (check_id, seq, project_id, at, "from", "to", reason) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
          [
            checkId,
            first + index,
            projectId,
            new Date(clock.now + index * 1000),
            to === 'up' ? 'down' : 'up',
            to,
            to === 'up' ? 'recovered' : 'timeout',
          ],
        )
      }
    },

    deliveries: () =>
      sql<{ event: string; status: string; attempts: number; last_error: string | null; wait: number | null }>(
        url,
        `SELECT kind || CASE WHEN ordinal > 0 THEN ':' || ordinal ELSE '' END AS event, status, attempts, detail AS last_error,
           (round(extract(epoch FROM next_attempt_at) * 1000) - $1::float8)::float8 AS wait
         FROM deliveries ORDER BY flip_seq, created_at, id`,
        [clock.now],
      ),
  }
}
