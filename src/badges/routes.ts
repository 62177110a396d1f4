import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import { AppError } from '../core/errors.ts'
import { shareSchemas } from '../http/schemas/api-schema.ts'
import { apiVersions, speakHealthchecks } from '../http/schemas/healthchecks-api.ts'
import { parseBadge, parseCheckBadge, splitFormat } from './addresses.ts'
import { badgeOfAll, badgeOfCheck, badgeOfTag, badgeSchemas, listBadges } from './schema.ts'
import type { Badge, Badges } from './service.ts'

type OfProject = { Params: { key: string; signature: string; '*': string } }
type OfAll = { Params: { key: string; file: string } }
type OfCheck = { Params: { states: string; file: string } }

/** A wildcard, because a tag of 500 characters that is encoded twice is longer than a route parameter may be. */
const ofTag = '/badge/:key/:signature/*'
/** A page that shows a badge must request it again each time. */
const uncached = { 'cache-control': 'max-age=0, no-cache, no-store, must-revalidate, private' }
const open = { exposeHeadRoute: false, config: { requires: 'public', quiet: true } } as const

/** The address of a badge is its credential; every key may read the list of addresses. */
export const badgeRoutes: FastifyPluginAsync<{ badges: Badges }> = async (app, { badges }) => {
  speakHealthchecks(app)
  shareSchemas(app, badgeSchemas)

  function send(reply: FastifyReply, badge: Badge | null): FastifyReply {
    if (badge === null) throw new AppError('not_found', 'not found')
    return reply
      .headers({ ...uncached, expires: new Date().toUTCString() })
      .type(badge.type)
      .send(badge.body)
  }

  for (const version of apiVersions) {
    const url = `/api/v${version}/badges/`
    app.get(
      url,
      { exposeHeadRoute: false, config: { requires: 'badges:read' }, schema: listBadges(version) },
      async (request) => {
        return { badges: await badges.list(request.caller.projectId) }
      },
    )
  }

  app.get<OfAll>('/badge/:key/:file', { ...open, schema: badgeOfAll }, async (request, reply) => {
    const { key, file } = request.params
    const [signature, format] = splitFormat(file)
    const wanted = parseBadge(signature, null, format)
    return send(reply, wanted && (await badges.project(key, wanted)))
  })

  app.get<OfProject>(ofTag, { ...open, schema: badgeOfTag }, async (request, reply) => {
    const { key, signature, '*': file } = request.params
    const [tag, format] = splitFormat(file)
    const wanted = parseBadge(signature, tag, format)
    return send(reply, wanted && (await badges.project(key, wanted)))
  })

  app.get<OfCheck>('/b/:states/:file', { ...open, schema: badgeOfCheck }, async (request, reply) => {
    const { states, file } = request.params
    const [badgeKey, format] = splitFormat(file)
    const wanted = parseCheckBadge(states, badgeKey, format)
    return send(reply, wanted && (await badges.check(badgeKey, wanted)))
  })
}
