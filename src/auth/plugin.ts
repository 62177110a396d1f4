import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.ts'
import { AppError } from '../core/errors.ts'
import type { Access } from '../http/access.ts'
import { sameSecret } from './keys.ts'
import { projectRoutes } from './routes.ts'
import { createProjects, type Keys, type Projects } from './service.ts'

/** Who a request comes from. `projectId` is empty for the administrator, who belongs to none. */
export type Caller = { projectId: string; actor: string; readOnly: boolean; requestId: string }

declare module 'fastify' {
  interface FastifyInstance {
    projects: Projects
  }
  interface FastifyRequest {
    caller: Caller
  }
}

const nobody: Caller = { projectId: '', actor: 'anonymous', readOnly: true, requestId: '' }

export type AuthOptions = { config: Config; announceKeys: (keys: Partial<Keys>) => void | Promise<void> }

export const authPlugin = fp<AuthOptions>(
  async (app, { config, announceKeys }) => {
    const { cacheOperations } = app.domainMetrics
    const projects = createProjects({
      database: app.database,
      writeAudit: app.audit.write,
      countCache: (operation, result) => cacheOperations.inc({ cache: 'keys', operation, result }),
    })
    app.decorate('projects', projects)
    app.decorateRequest('caller', null as unknown as Caller)

    const authorize: Record<Access, (request: FastifyRequest) => Promise<Caller> | Caller> = {
      public: () => nobody,
      ping: () => nobody,
      metrics: (request) => secretCaller(request, config.security.metricsToken, 'metrics'),
      admin: (request) => adminCaller(request, config.security.adminToken),
      read: (request) => projectCaller(projects, request, false),
      write: (request) => projectCaller(projects, request, true),
    }

    app.addHook('onRoute', (route) => {
      const access = route.config?.access ?? 'public'
      if (access === 'public' || access === 'ping') return
      app.guarded(route)
      // After the body was read, because the Healthchecks API takes the key from there too.
      const hook = async (request: FastifyRequest, _reply: FastifyReply) => {
        request.caller = await authorize[access](request)
      }
      route.preValidation = [hook, ...[route.preValidation ?? []].flat()]
    })

    await app.register(projectRoutes, { projects })
    app.lifecycle.onStart('projects', async () => {
      const { bootstrapApiKey, bootstrapApiKeyReadonly, bootstrapPingKey } = config.security
      const wanted = { api_key: bootstrapApiKey, api_key_readonly: bootstrapApiKeyReadonly, ping_key: bootstrapPingKey }
      await projects.bootstrap(wanted, announceKeys)
    })
  },
  { name: 'auth', dependencies: ['audit', 'http-access', 'metrics'] },
)

function adminCaller(request: FastifyRequest, token: string | undefined): Caller {
  if (token === undefined) throw new AppError('not_found', 'not found')
  return secretCaller(request, token, 'admin')
}

function secretCaller(request: FastifyRequest, token: string | undefined, actor: string): Caller {
  const given = givenKey(request)
  if (token !== undefined && given === '') throw new AppError('unauthorized', 'missing token')
  if (token !== undefined && !sameSecret(given, token)) {
    request.log.warn({ event: 'auth.failure', access: actor, ip: request.ip }, 'wrong token')
    throw new AppError('unauthorized', 'wrong token')
  }
  return { projectId: '', actor, readOnly: false, requestId: request.id }
}

async function projectCaller(projects: Projects, request: FastifyRequest, write: boolean): Promise<Caller> {
  const key = givenKey(request) || keyInBody(request)
  if (key.length !== 32) throw new AppError('unauthorized', 'missing api key')
  const principal = await projects.authenticate(key)
  const readOnly = principal?.kind === 'api_key_readonly'
  if (principal === null || principal.kind === 'ping_key' || (write && readOnly)) {
    request.log.warn({ event: 'auth.failure', access: write ? 'write' : 'read', ip: request.ip }, 'wrong api key')
    throw new AppError('unauthorized', 'wrong api key')
  }
  return { projectId: principal.projectId, actor: principal.kind, readOnly, requestId: request.id }
}

function givenKey(request: FastifyRequest): string {
  const header = request.headers['x-api-key']
  if (typeof header === 'string' && header !== '') return header
  return /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
}

function keyInBody(request: FastifyRequest): string {
  const key = (request.body as { api_key?: unknown } | null | undefined)?.api_key
  return typeof key === 'string' ? key : ''
}
