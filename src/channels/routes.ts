import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { shareSchemas } from '../http/schemas/api-schema.ts'
import { apiVersions, speakHealthchecks } from '../http/schemas/healthchecks-api.ts'
import { bothForms } from '../http/slashes.ts'
import {
  channelSchemas,
  createChannel,
  deleteChannel,
  getChannel,
  listChannels,
  reencrypt,
  testChannel,
  updateChannel,
} from './api-schema.ts'
import type { ChannelService } from './service.ts'

const channelsPath = '/api/v3/channels'

/** `stopping` cancels tests of channels in progress. */
export const channelRoutes: FastifyPluginAsyncTypebox<{
  channels: Pick<ChannelService, 'create' | 'get' | 'update' | 'remove' | 'test' | 'reencrypt'>
  stopping: AbortSignal
}> = async (app, { channels, stopping }) => {
  shareSchemas(app, channelSchemas)

  const operator = { requires: 'service:operate', always: true } as const
  for (const { url, form } of bothForms('/admin/reencrypt')) {
    const options = { config: { ...operator, ...form }, schema: reencrypt }
    app.post(url, options, async (request) => channels.reencrypt(request.caller))
  }

  for (const slash of ['', '/']) {
    const one = `${channelsPath}/:id${slash}`
    const undocumented = slash === ''
    const read = { requires: 'channels:read', undocumented } as const
    const write = { requires: 'channels:write', undocumented } as const

    app.post(`${channelsPath}${slash}`, { config: write, schema: createChannel }, async (request, reply) => {
      reply.code(201)
      return channels.create(request.caller, request.body)
    })

    app.get(one, { config: read, schema: getChannel }, async (request) => {
      return channels.get(request.caller.projectId, request.params.id)
    })

    app.patch(one, { config: write, schema: updateChannel }, async (request) => {
      return channels.update(request.caller, request.params.id, request.body)
    })

    app.delete(one, { config: write, schema: deleteChannel }, async (request, reply) => {
      await channels.remove(request.caller, request.params.id)
      return reply.code(204).send()
    })

    app.post(`${channelsPath}/:id/test${slash}`, { config: write, schema: testChannel }, async (request) => {
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
  shareSchemas(app, channelSchemas)
  for (const version of apiVersions) {
    const url = `/api/v${version}/channels/`
    // In version 3 the other calls on channels are Flatline's own, and accept both forms of an address.
    const urls = version === 3 ? [url.slice(0, -1), url] : [url]
    for (const own of urls) {
      const config = { requires: 'channels:read', undocumented: own !== url } as const
      app.get(own, { exposeHeadRoute: false, config, schema: listChannels(version) }, async (request) => {
        const all = await channels.list(request.caller.projectId)
        return { channels: all.map(({ id, name, kind }) => ({ id, name, kind })) }
      })
    }
  }
}
