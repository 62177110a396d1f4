// How often one key, one address may call. Heartbeats, probes and metrics are not limited: a limit there would lose what this is for.

import { createHash } from 'node:crypto'
import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AppError } from '../core/errors.ts'
import { networkOf } from '../core/network.ts'
import type { Access } from './access.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a failed authentication. Throws `too_many_requests` when its address had too many within a minute. */
    limitAuthFailure: (request: FastifyRequest) => Promise<void>
  }
}

type Scope = 'management' | 'admin' | 'auth'

export type RateLimitOptions = { callsPerMinute: number; adminCallsPerMinute: number; authFailuresPerMinute: number }

const windowMs = 60_000
const toldMax = 10_000
const scopeOf: Partial<Record<Access, Scope>> = {
  read: 'management',
  'read-only': 'management',
  write: 'management',
  'read or admin': 'management',
  'write or admin': 'management',
  admin: 'admin',
}

export const rateLimitPlugin = fp<RateLimitOptions>(
  async (app, options) => {
    const shared = app.redis === null ? {} : { redis: app.redis.client, nameSpace: 'flatline-rate-' }
    await app.register(rateLimit, { global: false, cache: 10_000, ...shared })
    const { rateLimited } = app.domainMetrics
    const breaker = app.redis === null ? null : app.circuitBreakers.get('redis', 'redis')
    const told = new Map<string, number>()

    /** One line for each key and minute. */
    function tell(request: FastifyRequest, scope: Scope, key: string): void {
      rateLimited.inc({ scope })
      const now = performance.now()
      if ((told.get(key) ?? 0) > now) return
      if (told.size >= toldMax) told.clear()
      told.set(key, now + windowMs)
      const event = scope === 'auth' ? 'auth.limited' : 'rate.limited'
      request.log.warn({ event, scope, ip: request.ip }, 'too many calls')
    }

    function createLimit(scope: Scope, max: number, keyOf: (request: FastifyRequest) => string) {
      const check = app.createRateLimit({ max, timeWindow: windowMs, keyGenerator: (r) => `${scope}:${keyOf(r)}` })
      // Redis gone is no reason to refuse anybody, and one that hangs none to let everybody wait.
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
        if (!found.isExceeded) return
        tell(request, scope, found.key)
        const what = scope === 'auth' ? 'failed authentications of this address' : 'calls'
        const message = `too many ${what}: at most ${max} a minute`
        throw new AppError('too_many_requests', message, { retryAfterS: Math.max(1, found.ttlInSeconds) })
      }
    }

    const limits: Record<Scope, ReturnType<typeof createLimit>> = {
      management: createLimit(
        'management',
        options.callsPerMinute,
        (request) => presentedKey(request) ?? block(request),
      ),
      admin: createLimit('admin', options.adminCallsPerMinute, block),
      auth: createLimit('auth', options.authFailuresPerMinute, block),
    }
    app.decorate('limitAuthFailure', (request: FastifyRequest) => limits.auth(request))
    app.addHook('onRoute', (route) => {
      const scope = scopeOf[route.config?.access ?? 'public']
      if (scope === undefined) return
      const hook = async (request: FastifyRequest, reply: FastifyReply) => {
        await limits[scope](request, reply)
      }
      // A key has a count of its own. The operator's calls count only once they are known to be his: nobody else can use them up.
      if (scope === 'admin') route.preValidation = [...[route.preValidation ?? []].flat(), hook]
      else route.onRequest = [hook, ...[route.onRequest ?? []].flat()]
    })
  },
  { name: 'http-rate-limit', dependencies: ['redis', 'circuit-breakers', 'metrics', 'http-errors'] },
)

const isAnyFailure = () => true

/** Hashed, because it goes to Redis. A key in a body is not known yet: such a call counts for its address. */
function presentedKey(request: FastifyRequest): string | undefined {
  const { 'x-api-key': header, authorization } = request.headers
  const key = header ?? authorization
  return key === undefined ? undefined : createHash('sha256').update(String(key)).digest('base64url')
}

/** Whoever has one IPv6 address has all of its /64. */
function block(request: FastifyRequest): string {
  return networkOf(request.ip, 32, 64)
}
