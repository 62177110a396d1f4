// Healthchecks' calls on checks in their three versions (https://healthchecks.io/docs/api/). Slashes matter as they do
// there: addresses of collections end in one, those of single checks do not.

import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { sendList } from '../http/body/json-list.ts'
import { shareSchemas } from '../http/schemas/api-schema.ts'
import { type ApiVersion, apiVersions, speakHealthchecks } from '../http/schemas/healthchecks-api.ts'
import type { Query } from '../http/schemas/query.ts'
import { checkCalls, checkSchemas } from './api-schema.ts'
import { parseCheck } from './fields/schema.ts'
import { parseFlipRange, parseListQuery } from './query-schema.ts'
import type { Checks } from './service.ts'

type Single = { Params: { id: string } }
type Listing = { Querystring: Query }

type Calls = ReturnType<typeof checkCalls>

const read = { exposeHeadRoute: false, config: { requires: 'checks:read' } } as const
/** The same call, with another form of its id. */
const readByKey = { exposeHeadRoute: false, config: { requires: 'checks:read', undocumented: true } } as const
const write = { config: { requires: 'checks:write' } } as const

export const checkRoutes: FastifyPluginAsync<{ checks: Checks }> = async (app, { checks }) => {
  speakHealthchecks(app)
  shareSchemas(app, checkSchemas)
  for (const version of apiVersions) {
    const calls = checkCalls(version)
    collectionRoutes(version, calls)
    singleRoutes(version, calls)
    flipRoutes(version, calls)
  }

  function viewOf(request: FastifyRequest, version: ApiVersion) {
    return { version, readOnly: !request.principal.permissions.includes('checks:write') }
  }

  function collectionRoutes(version: ApiVersion, calls: Calls): void {
    const url = `/api/v${version}/checks/`

    app.get<Listing>(url, { ...read, schema: calls.list }, async (request, reply) => {
      const { projectId } = request.caller
      const { filter, page } = parseListQuery(request.query)
      const view = viewOf(request, version)
      if (page) return checks.listPage(projectId, filter, view, page)
      return sendList(reply, 'checks', checks.list(projectId, filter, view))
    })

    app.post<{ Body: Record<string, unknown> }>(url, { ...write, schema: calls.create }, async (request, reply) => {
      const { id, created } = await checks.create(request.caller, parseCheck(request.body, version))
      reply.code(created ? 201 : 200)
      return checks.get(request.caller.projectId, id, viewOf(request, version))
    })
  }

  function singleRoutes(version: ApiVersion, calls: Calls): void {
    const url = `/api/v${version}/checks/:id`
    const document = (request: FastifyRequest<Single>) =>
      checks.get(request.caller.projectId, request.params.id, viewOf(request, version))

    app.get<Single>(url, { ...read, schema: calls.get }, document)
    app.get<Single>(url.replace(':id', byKey), { ...readByKey, schema: calls.get }, document)

    app.post<Single & { Body: Record<string, unknown> }>(url, { ...write, schema: calls.update }, async (request) => {
      await checks.update(request.caller, request.params.id, parseCheck(request.body, version))
      return document(request)
    })

    app.delete<Single>(url, { ...write, schema: calls.remove }, async (request) => {
      const removed = await checks.remove(request.caller, request.params.id)
      return checks.document(removed, viewOf(request, version))
    })

    app.post<Single>(`${url}/pause`, { ...write, schema: calls.pause }, async (request) => {
      await checks.pause(request.caller, request.params.id)
      return document(request)
    })

    app.post<Single>(`${url}/resume`, { ...write, schema: calls.resume }, async (request) => {
      await checks.resume(request.caller, request.params.id)
      return document(request)
    })
  }

  function flipRoutes(version: ApiVersion, calls: Calls): void {
    for (const [id, options] of [
      [':id', read],
      [byKey, readByKey],
    ] as const) {
      const url = `/api/v${version}/checks/${id}/flips/`
      app.get<Single & Listing>(url, { ...options, schema: calls.flips }, async (request, reply) => {
        const range = parseFlipRange(request.query, checks.now())
        return sendList(reply, 'flips', await checks.flips(request.caller.projectId, request.params.id, range))
      })
    }
  }
}

/** The unique key allows only reading. */
const byKey = ':id(^[0-9a-f]{40}$)'
