import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { bothForms } from '../http/slashes.ts'
import { ChannelChange, ChannelId, DeliveryQuery, NewChannel } from './schema.ts'
import type { Alerting } from './service.ts'

const channelsPath = '/api/v3/channels'

/** `stopping` gives up tests of channels that are under way. */
export const alertingRoutes: FastifyPluginAsyncTypebox<{
  alerting: Pick<Alerting, 'channels' | 'deliveries' | 'reencrypt'>
  stopping: AbortSignal
}> = async (app, { alerting, stopping }) => {
  const { channels, deliveries } = alerting
  const read = { access: 'read' } as const
  const write = { access: 'write' } as const

  const operator = { access: 'admin', always: true } as const
  for (const { url, form } of bothForms('/admin/reencrypt')) {
    app.post(url, { config: { ...operator, ...form } }, async (request) => alerting.reencrypt(request.caller))
  }

  for (const slash of ['', '/']) {
    const one = `${channelsPath}/:id${slash}`

    app.post(`${channelsPath}${slash}`, { config: write, schema: { body: NewChannel } }, async (request, reply) => {
      reply.code(201)
      return channels.create(request.caller, request.body)
    })

    app.get(one, { config: write, schema: { params: ChannelId } }, async (request) => {
      return channels.get(request.caller.projectId, request.params.id)
    })

    app.patch(one, { config: write, schema: { params: ChannelId, body: ChannelChange } }, async (request) => {
      return channels.update(request.caller, request.params.id, request.body)
    })

    app.delete(one, { config: write, schema: { params: ChannelId } }, async (request, reply) => {
      await channels.remove(request.caller, request.params.id)
      return reply.code(204).send()
    })

    app.post(`${channelsPath}/:id/test${slash}`, { config: write, schema: { params: ChannelId } }, async (request) => {
      return channels.test(request.caller.projectId, request.params.id, stopping)
    })

    app.get(`/api/v3/deliveries${slash}`, { config: read, schema: { querystring: DeliveryQuery } }, async (request) => {
      const { limit, ...filter } = request.query
      return deliveries.list(request.caller, filter, limit)
    })

    const again = `/api/v3/deliveries/:id/resend${slash}`
    app.post(again, { config: write, schema: { params: ChannelId } }, async (request) => {
      return deliveries.resend(request.caller, request.params.id)
    })
  }
}
