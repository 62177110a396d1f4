import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { apiVersions, speakHealthchecks } from '../http/healthchecks-api.ts'
import { bothForms } from '../http/slashes.ts'
import { ChannelChange, ChannelId, NewChannel } from './schema.ts'
import type { ChannelService } from './service.ts'

const channelsPath = '/api/v3/channels'

/** `stopping` gives up tests of channels that are under way. */
export const channelRoutes: FastifyPluginAsyncTypebox<{
  channels: Pick<ChannelService, 'create' | 'get' | 'update' | 'remove' | 'test' | 'reencrypt'>
  stopping: AbortSignal
}> = async (app, { channels, stopping }) => {
  const write = { access: 'write' } as const

  const operator = { access: 'admin', always: true } as const
  for (const { url, form } of bothForms('/admin/reencrypt')) {
    app.post(url, { config: { ...operator, ...form } }, async (request) => channels.reencrypt(request.caller))
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
  }
}

/** Healthchecks' list of channels, its only call on them. */
export const channelListRoutes: FastifyPluginAsyncTypebox<{ channels: Pick<ChannelService, 'list'> }> = async (
  app,
  { channels },
) => {
  speakHealthchecks(app)
  for (const version of apiVersions) {
    const url = `/api/v${version}/channels/`
    // In version 3 the other calls on channels are Flatline's own, and accept both forms of an address.
    const urls = version === 3 ? [url.slice(0, -1), url] : [url]
    for (const own of urls) {
      app.get(own, { exposeHeadRoute: false, config: { access: 'write' } }, async (request) => {
        const all = await channels.list(request.caller.projectId)
        return { channels: all.map(({ id, name, kind }) => ({ id, name, kind })) }
      })
    }
  }
}
