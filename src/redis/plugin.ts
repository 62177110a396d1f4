import fp from 'fastify-plugin'
import type { Redis } from 'ioredis'

declare module 'fastify' {
  interface FastifyInstance {
    /** Null unless REDIS_URL is set. While Redis is unavailable commands are refused at once. */
    redis: { client: Redis; ping: () => Promise<void> } | null
  }
}

const connectTimeoutMs = 2000
const retryMaxMs = 5000

/**
 * Redis, in which replicas count calls together. Nothing depends on it: while it is unavailable, all calls are served
 * and not counted.
 */
export const redisPlugin = fp<{ url: string | undefined }>(
  async (app, { url }) => {
    if (url === undefined) return void app.decorate('redis', null)
    // Loaded only if it is used, to save memory.
    const ioredis = await import('ioredis')
    const client = new ioredis.Redis(url, {
      connectTimeout: connectTimeoutMs,
      commandTimeout: app.circuitBreakers.get('redis', 'redis').settings.requestTimeoutMs,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt) => Math.min(attempt * 200, retryMaxMs),
    })
    let isLost = false
    client.on('error', (error: Error & { code?: string }) => {
      if (isLost) return
      isLost = true
      app.log.warn({ event: 'redis.lost', reason: error.code ?? error.name }, 'redis does not answer')
    })
    client.on('ready', () => {
      if (isLost) app.log.info({ event: 'redis.back' }, 'redis answers again')
      isLost = false
    })
    app.decorate('redis', { client, ping: async () => void (await client.ping()) })
    app.addHook('onClose', async () => client.disconnect())
  },
  { name: 'redis', dependencies: ['circuit-breakers'] },
)
