import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { AppError, type ErrorCode } from '../core/errors.ts'
import type { Access } from '../http/access.ts'
import { isInternal } from '../http/internal.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { sameSecret } from './keys.ts'
import { projectRoutes } from './routes.ts'
import { createProjects, type Keys, type Projects } from './service.ts'

/**
 * Who sends a request, and from which address. `projectId` is empty for the administrator, who belongs to no project, and for a key whose
 * project is unknown while the database is away: its `keyHash` is resolved later.
 */
export type Caller = {
  projectId: string
  actor: string
  readOnly: boolean
  keyHash: string | null
  requestId: string
  address: string
}

declare module 'fastify' {
  interface FastifyInstance {
    projects: Projects
  }
  interface FastifyRequest {
    /** Null until the caller is authenticated: before the body is read, unless the body holds the key. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** Served also while the database is away; then the project of the key is resolved before anything is recorded. */
    unverified?: boolean
  }
}

const nobody: Caller = { projectId: '', actor: 'anonymous', readOnly: true, keyHash: null, requestId: '', address: '' }

/** Why a call was refused, in one word, and the project if the key is one of its own. */
type Refusal = {
  reason: 'missing' | 'wrong_token' | 'wrong_key' | 'read_only'
  message: string
  projectId?: string
  code?: ErrorCode
}

export type AuthOptions = {
  config: Config
  announceKeys: (keys: Partial<Keys>) => void | Promise<void>
  cancelDeliveries: Parameters<typeof createProjects>[0]['cancelDeliveries']
}

export const authPlugin = fp<AuthOptions>(
  async (app, { config, announceKeys, cancelDeliveries }) => {
    const { cacheOperations } = app.domainMetrics
    const projects = createProjects({
      database: app.database,
      writeAudit: app.audit.write,
      cancelDeliveries,
      countCache: (operation, result) => cacheOperations.inc({ cache: 'keys', operation, result }),
    })
    app.decorate('projects', projects)
    app.decorateRequest('caller', null as unknown as Caller)

    async function refuse(request: FastifyRequest, refusal: Refusal): Promise<never> {
      const { reason, message, projectId = '', code = 'unauthorized' } = refusal
      app.audit.authFailure({ address: request.clientAddress, reason, projectId, requestId: request.id })
      await app.limitAuthFailure(request)
      throw new AppError(code, message)
    }

    const secretCaller = (request: FastifyRequest, tokens: readonly (string | undefined)[], actor: string) => {
      const given = givenKey(request)
      if (given === '') return refuse(request, { reason: 'missing', message: 'missing token' })
      if (!isOneOf(given, tokens)) return refuse(request, { reason: 'wrong_token', message: 'wrong token' })
      return callerOf(request, { projectId: '', actor, readOnly: false })
    }

    const projectCaller = async (request: FastifyRequest, write: boolean) => {
      const key = givenKey(request)
      if (key.length !== 32) return refuse(request, { reason: 'missing', message: 'missing api key' })
      const principal = await projects.authenticate(key)
      if (principal === null || principal.kind === 'ping_key')
        return refuse(request, { reason: 'wrong_key', message: 'wrong api key' })
      const { projectId, kind } = principal
      const readOnly = kind === 'api_key_readonly'
      if (write && readOnly) return refuse(request, { reason: 'read_only', message: 'wrong api key', projectId })
      return callerOf(request, { projectId, actor: kind, readOnly })
    }

    /** With the codes of Healthchecks, for Prometheus. */
    const scrapingCaller = async (request: FastifyRequest) => {
      const key = (request.params as { key?: string }).key ?? bearerToken(request)
      if (key === '') return refuse(request, { reason: 'missing', message: 'missing token' })
      if (key.length !== 32) return refuse(request, { reason: 'missing', message: 'no key', code: 'bad_request' })
      const principal = await projects.authenticate(key)
      if (principal?.kind !== 'api_key_readonly')
        return refuse(request, { reason: 'wrong_key', message: 'wrong key', code: 'forbidden' })
      return callerOf(request, { projectId: principal.projectId, actor: principal.kind, readOnly: true })
    }

    const pingKeyCaller = async (request: FastifyRequest) => {
      const key = givenKey(request)
      const principal = key.length === 22 ? await projects.authenticate(key) : null
      if (principal?.kind !== 'ping_key') return projectCaller(request, true)
      return callerOf(request, { projectId: principal.projectId, actor: principal.kind, readOnly: false })
    }

    const uploadingCaller = async (request: FastifyRequest) => {
      try {
        return await pingKeyCaller(request)
      } catch (error) {
        if (!request.routeOptions.config.unverified || !isDatabaseAway(error)) throw error
        const keyHash = projects.hashOf(givenKey(request))
        return { ...callerOf(request, { projectId: '', actor: 'unverified', readOnly: false }), keyHash }
      }
    }

    const { adminToken, adminTokenPrevious, metricsToken, metricsTokenPrevious } = config.security
    const adminTokens = [adminToken, adminTokenPrevious]
    const metricsTokens = [metricsToken, metricsTokenPrevious]
    const isAdmin = (request: FastifyRequest) => isOneOf(givenKey(request), adminTokens)

    const authorize: Record<Exclude<Access, 'replica'>, (request: FastifyRequest) => Promise<Caller> | Caller> = {
      public: () => nobody,
      ping: () => nobody,
      metrics(request) {
        if (metricsToken !== undefined) return secretCaller(request, metricsTokens, 'metrics')
        if (config.environment === 'production' && !isInternal(request)) throw new AppError('not_found', 'not found')
        return nobody
      },
      admin(request) {
        if (adminToken === undefined) throw new AppError('not_found', 'not found')
        return secretCaller(request, adminTokens, 'admin')
      },
      read: (request) => projectCaller(request, false),
      'read-only': scrapingCaller,
      write: (request) => projectCaller(request, true),
      'write or ping': uploadingCaller,
      'read or admin': (request) => (isAdmin(request) ? authorize.admin(request) : projectCaller(request, false)),
      'write or admin': (request) => (isAdmin(request) ? authorize.admin(request) : projectCaller(request, true)),
    }

    app.addHook('onRoute', (route) => {
      const access = route.config?.access ?? 'public'
      // The routes of the replicas authenticate their callers themselves.
      if (access === 'public' || access === 'ping' || access === 'replica') return
      app.guarded(route)
      const admit = async (request: FastifyRequest, reply: FastifyReply) => {
        request.caller = await authorize[access](request)
        await app.limitCalls(request, reply)
      }
      route.onRequest = [
        ...[route.onRequest ?? []].flat(),
        async (request: FastifyRequest, reply: FastifyReply) => {
          if (!keyMayBeInBody(request)) return admit(request, reply)
          app.refuseFailing(request)
          request.bodyMaxBytes = config.limits.bodyWithKeyMaxBytes
        },
      ]
      route.preValidation = [
        async (request: FastifyRequest, reply: FastifyReply) => {
          if (keyMayBeInBody(request)) await admit(request, reply)
        },
        ...[route.preValidation ?? []].flat(),
      ]
    })

    await app.register(projectRoutes, { projects })
    app.lifecycle.onStart('projects', async () => {
      const { bootstrapApiKey, bootstrapApiKeyReadonly, bootstrapPingKey } = config.security
      const wanted = { api_key: bootstrapApiKey, api_key_readonly: bootstrapApiKeyReadonly, ping_key: bootstrapPingKey }
      await projects.bootstrap(wanted, announceKeys)
    })
  },
  { name: 'auth', dependencies: ['audit', 'http-access', 'http-rate-limit', 'metrics'] },
)

function callerOf(request: FastifyRequest, who: Pick<Caller, 'projectId' | 'actor' | 'readOnly'>): Caller {
  return { ...who, keyHash: null, requestId: request.id, address: request.clientAddress }
}

/** Each is compared, whatever the result of the one before. */
function isOneOf(given: string, secrets: readonly (string | undefined)[]): boolean {
  return secrets.filter((secret) => secret !== undefined && sameSecret(given, secret)).length > 0
}

/** The only place that reads a key: from a header, or else from the body if the call accepts it there. */
function givenKey(request: FastifyRequest): string {
  const header = request.headers['x-api-key']
  if (typeof header === 'string' && header !== '') return header
  return keyMayBeInBody(request) ? keyInBody(request) : bearerToken(request)
}

/** Whether the key can only be in the body, as in a POST to Healthchecks' API without a header for it. */
function keyMayBeInBody({ routeOptions, headers }: FastifyRequest): boolean {
  return routeOptions.config.keyInBody === true && !headers['x-api-key'] && !headers.authorization
}

function bearerToken(request: FastifyRequest): string {
  return /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
}

/** Empty before the body has been read. */
function keyInBody(request: FastifyRequest): string {
  const key = (request.body as { api_key?: unknown } | null | undefined)?.api_key
  return typeof key === 'string' ? key : ''
}
