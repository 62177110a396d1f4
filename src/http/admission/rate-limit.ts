// How often one key or one address may call. Heartbeats, probes and metrics are not limited: a limit there would lose
// what the service exists for. A call is counted once its caller is known: counting the text of a header would begin
// again for each spelling of a key.

import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { AppError } from '../../core/errors.ts'
import { atMost } from '../../kit/cache.ts'
import { networkOf } from '../../kit/network.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a call for its caller. Throws `too_many_requests`. */
    limitCalls: (request: FastifyRequest, reply: FastifyReply, scope: RateScope) => Promise<void>
    /** Counts a failed authentication. Throws `too_many_requests` if its address had too many within a minute. */
    limitAuthFailure: (request: FastifyRequest) => Promise<void>
    /** Counts nothing. Throws `too_many_requests` for an address that has used up its failures of this minute. */
    refuseFailing: (request: FastifyRequest) => void
  }
}

/** management: calls are counted by key. admin: by address. */
export type RateScope = 'management' | 'admin'
type Scope = RateScope | 'auth'

export type RateLimitOptions = { callsPerMinute: number; adminCallsPerMinute: number; authFailuresPerMinute: number }

const windowMs = 60_000
const addressesMax = 10_000

export const rateLimitPlugin = fp<RateLimitOptions>(
  async (app, options) => {
    const shared = app.redis === null ? {} : { redis: app.redis.client, nameSpace: 'flatline-rate-' }
    await app.register(rateLimit, { global: false, cache: 10_000, ...shared })
    const { rateLimited } = app.domainMetrics
    const breaker = app.redis === null ? null : app.circuitBreakers.get('redis', 'redis')
    const reported = new LRUCache<string, number>(atMost(addressesMax))
    const failing = new LRUCache<string, number>(atMost(addressesMax))

    /** One log line per key and minute. */
    function report(request: FastifyRequest, scope: Scope, key: string): void {
      rateLimited.inc({ scope })
      const now = performance.now()
      if ((reported.get(key) ?? 0) > now) return
      reported.set(key, now + windowMs)
      const event = scope === 'auth' ? 'auth.limited' : 'rate.limited'
      request.log.warn({ event, scope, ip: request.clientAddress }, 'too many calls')
    }

    /** Remembers until when an address has used up its failures. */
    function remember(address: string, seconds: number): void {
      failing.set(address, performance.now() + seconds * 1000)
    }

    function tooMany(scope: Scope, max: number, seconds: number): AppError {
      const what = scope === 'auth' ? 'failed authentications of this address' : 'calls'
      const message = `too many ${what}: at most ${max} a minute`
      return new AppError('too_many_requests', message, { retryAfterS: Math.max(1, Math.ceil(seconds)) })
    }

    function createLimit(scope: Scope, max: number, keyOf: (request: FastifyRequest) => string) {
      // increase() ignores the first value of a series.
      rateLimited.inc({ scope }, 0)
      const check = app.createRateLimit({ max, timeWindow: windowMs, keyGenerator: (r) => `${scope}:${keyOf(r)}` })
      // An unavailable Redis is no reason to refuse calls, and a hanging one no reason to delay them.
      const count = async (request: FastifyRequest) =>
        breaker === null ? check(request) : breaker.run(() => check(request), isAnyFailure).catch(() => null)
      return async (request: FastifyRequest, reply?: FastifyReply): Promise<void> => {
        if (max === 0) return
        const found = await count(request)
        if (found === null || found.isAllowed) return
        reply?.headers({
          'ratelimit-limit': max,
          'ratelimit-remaining': found.remaining,
          'ratelimit-reset': found.ttlInSeconds,
        })
        if (scope === 'auth' && found.remaining === 0) remember(block(request), found.ttlInSeconds)
        if (!found.isExceeded) return
        report(request, scope, found.key)
        throw tooMany(scope, max, found.ttlInSeconds)
      }
    }

    const limits: Record<Scope, ReturnType<typeof createLimit>> = {
      management: createLimit('management', options.callsPerMinute, caller),
      admin: createLimit('admin', options.adminCallsPerMinute, block),
      auth: createLimit('auth', options.authFailuresPerMinute, block),
    }
    app.decorate('limitAuthFailure', (request: FastifyRequest) => limits.auth(request))
    app.decorate('refuseFailing', (request: FastifyRequest) => {
      const seconds = ((failing.get(block(request)) ?? 0) - performance.now()) / 1000
      if (seconds > 0) throw tooMany('auth', options.authFailuresPerMinute, seconds)
    })
    app.decorate('limitCalls', (request: FastifyRequest, reply: FastifyReply, scope: RateScope) =>
      limits[scope](request, reply),
    )
  },
  { name: 'http-rate-limit', dependencies: ['redis', 'circuit-breakers', 'metrics', 'http-errors'] },
)

const isAnyFailure = () => true

/** A project has one key of each kind, so this identifies the key in every spelling. */
function caller({ caller: { projectId, actor } }: FastifyRequest): string {
  return `${projectId}:${actor}`
}

/** A client with one IPv6 address has its whole /64. */
function block(request: FastifyRequest): string {
  return networkOf(request.clientAddress, 32, 64)
}
