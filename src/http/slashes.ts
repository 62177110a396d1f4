// One rule for the slash at the end of an address. Flatline's own addresses work with and without it. Healthchecks'
// addresses keep the form of the original: one that ends in a slash is redirected to from the form without it, as
// Django's APPEND_SLASH does; a superfluous slash makes an address that does not exist.

import type { FastifyInstance } from 'fastify'

const everyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/**
 * Both forms of each path, with the configuration of its route: the second form is not documented as a call of its own.
 */
export function bothForms(...paths: string[]): { url: string; form: { undocumented: boolean; statsId: string } }[] {
  return paths.flatMap((path) => [
    { url: path, form: { undocumented: false, statsId: path } },
    { url: `${path}/`, form: { undocumented: true, statsId: path } },
  ])
}

/** Adds the redirects to the (encapsulated) instance, for the routes that it registers from here on. */
export function redirectToSlash(app: FastifyInstance): void {
  app.addHook('onRoute', ({ url }) => {
    const bare = url.slice(0, -1)
    if (!url.endsWith('/') || app.hasRoute({ method: 'GET', url: bare })) return
    app.route({
      method: [...everyMethod],
      url: bare,
      exposeHeadRoute: false,
      config: { requires: 'public', undocumented: true, quiet: true, redirectsTo: url },
      handler: (request, reply) => {
        const [path, query] = request.url.split('?', 2)
        return reply.redirect(`${app.sitePath()}${path}/${query === undefined ? '' : `?${query}`}`, 301)
      },
    })
  })
}
