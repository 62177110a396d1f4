import type { FastifyPluginAsync } from 'fastify'
import { apiVersions, speakHealthchecks } from '../http/healthchecks-api.ts'
import type { Channels } from './channels.ts'

/** Healthchecks' list of channels, the one call on them that it has. */
export const channelListRoutes: FastifyPluginAsync<{ channels: Pick<Channels, 'list'> }> = async (
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
