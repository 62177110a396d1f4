import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { AppError } from '../core/errors.ts'
import { isLimited, isPermission, type Permission } from '../core/permissions.ts'
import type { Authenticator, AuthRefusal, Principal } from '../http/admission/authenticator.ts'
import { createAuthenticators } from './authenticators/all.ts'
import { projectRoutes } from './routes.ts'
import { createProjects, type Keys, type Projects } from './service.ts'

/** The principal in the form for services and the audit log. `projectId` is empty for a caller without a project. */
type Caller = { projectId: string; actor: string; requestId: string; address: string }

declare module 'fastify' {
  interface FastifyInstance {
    projects: Projects
  }
  interface FastifyRequest {
    /** Null until the caller is authenticated: before the body is read, unless the key is in the body. */
    principal: Principal
    /** Null as long as `principal` is. */
    caller: Caller
  }
}

export type AuthOptions = {
  config: Config
  /** Keys of the default project that are given otherwise than by BOOTSTRAP_*. */
  defaultKeys: Partial<Keys>
  announceKeys: (keys: Partial<Keys>) => void | Promise<void>
  cancelAlerts: Parameters<typeof createProjects>[0]['cancelAlerts']
}

/** The keys that the environment gives the default project. */
export function bootstrapKeys(security: Config['security']): Partial<Keys> {
  const { bootstrapApiKey: api_key, bootstrapApiKeyReadonly: api_key_readonly, bootstrapPingKey: ping_key } = security
  const given = Object.entries({ api_key, api_key_readonly, ping_key }).filter(([, key]) => key !== undefined)
  return Object.fromEntries(given)
}

type Accepted = { principal: Principal; by: Authenticator }

const missing: AuthRefusal = { reason: 'missing', code: 'unauthorized', message: 'missing token' }

export const authPlugin = fp<AuthOptions>(
  async (app, { config, defaultKeys, announceKeys, cancelAlerts }) => {
    const { cacheOperations } = app.domainMetrics
    const projects = createProjects({
      database: app.database,
      writeAudit: app.audit.write,
      cancelAlerts,
      countCache: (operation, result) => cacheOperations.inc({ cache: 'keys', operation, result }),
    })
    app.decorate('projects', projects)
    app.decorateRequest('principal', null as unknown as Principal)
    app.decorateRequest('caller', null as unknown as Caller)
    app.authenticators.push(...createAuthenticators(config, projects))

    async function refuse(request: FastifyRequest, refusal: AuthRefusal): Promise<never> {
      const { reason, code, message, projectId = '' } = refusal
      if (reason !== null) {
        app.audit.authFailure({ address: request.clientAddress, reason, projectId, requestId: request.id })
        await app.limitAuthFailure(request)
      }
      throw new AppError(code, message)
    }

    async function accept(request: FastifyRequest, reply: FastifyReply, { principal, by }: Accepted, to: Permission) {
      request.principal = principal
      const { projectIds, label: actor } = principal
      const [projectId = ''] = projectIds
      request.caller = { projectId, actor, requestId: request.id, address: request.clientAddress }
      if (signsIn(by, to)) app.audit.signIn({ projectId, actor, address: request.clientAddress, requestId: request.id })
      if (by.rateScope !== null && isLimited(to)) await app.limitCalls(request, reply, by.rateScope)
    }

    app.addHook('onRoute', (route) => {
      const requires = route.config?.requires ?? 'public'
      if (!isPermission(requires)) return
      app.guarded(route)
      const candidates = () => app.authenticators.filter(({ permissions }) => permissions.includes(requires))
      const isByAddress = () => candidates().every(({ isAddress }) => isAddress)
      const decide = async (request: FastifyRequest, reply: FastifyReply) => {
        const found = await ask(candidates(), request, requires)
        return 'by' in found ? accept(request, reply, found, requires) : refuse(request, found)
      }
      route.onRequest = [
        ...[route.onRequest ?? []].flat(),
        async (request: FastifyRequest, reply: FastifyReply) => {
          if (isByAddress()) return
          const early = candidates().filter((one) => one.isInBody?.(request) !== true)
          if (early.length === candidates().length) return decide(request, reply)
          const found = await ask(early, request, requires)
          if ('by' in found) return accept(request, reply, found, requires)
          app.refuseFailing(request)
          request.bodyMaxBytes = config.limits.bodyWithKeyMaxBytes
        },
      ]
      route.preValidation = [
        async (request: FastifyRequest, reply: FastifyReply) => {
          if (request.principal === null && !isByAddress()) await decide(request, reply)
        },
        ...[route.preValidation ?? []].flat(),
      ]
      route.preHandler = [
        async (request: FastifyRequest, reply: FastifyReply) => {
          if (request.principal === null) await decide(request, reply)
        },
        ...[route.preHandler ?? []].flat(),
      ]
    })

    await app.register(projectRoutes, { projects })
    app.lifecycle.onStart('projects', async () => {
      await projects.bootstrap({ ...defaultKeys, ...bootstrapKeys(config.security) }, announceKeys)
    })
  },
  { name: 'auth', dependencies: ['audit', 'http-requirements', 'http-rate-limit', 'metrics'] },
)

/** The credentials of people, who use them for anything but heartbeats. */
function signsIn({ name }: Authenticator, to: Permission): boolean {
  return (name === 'admin-token' || name === 'api-key') && to !== 'heartbeats:write'
}

/** The first authenticator that accepts the request; otherwise the refusal of the last one that does not answer null. */
async function ask(
  candidates: readonly Authenticator[],
  request: FastifyRequest,
  permission: Permission,
): Promise<Accepted | AuthRefusal> {
  let refusal = missing
  for (const by of candidates) {
    const answer = await by.authenticate(request)
    if (answer === null) continue
    if ('reason' in answer) refusal = answer
    else if (answer.permissions.includes(permission)) return { principal: answer, by }
    else
      refusal = { reason: 'read_only', code: 'unauthorized', message: by.wrong, projectId: answer.projectIds[0] ?? '' }
  }
  return refusal
}
