import fp from 'fastify-plugin'
import helmet from 'helmet'

/**
 * Headers that forbid browsers to treat an answer as a page, and caches to store it unless its route allows it: most
 * answers hold keys, uuids, which are credentials of their checks, or what is true at this moment only. Heartbeats go
 * without: their senders are not browsers, and a dozen headers on each would be most of the answer. Helmet without its
 * Fastify plugin, which gives each reply, also of those that go without, a function of its own that is made in old
 * space: a flood of heartbeats then lives on until the next major garbage collection.
 */
export const securityHeadersPlugin = fp<{ siteUrl: string | undefined }>(
  async (app, { siteUrl }) => {
    const protect = helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"], 'base-uri': ["'none'"] },
      },
      // The API may be called from any page that has a key.
      crossOriginResourcePolicy: { policy: 'cross-origin' },
      // A promise that only the server that terminates TLS can make.
      strictTransportSecurity: siteUrl?.startsWith('https:') ? { maxAge: 31_536_000 } : false,
    })
    app.addHook('onRequest', (request, reply, done) => {
      if (request.routeOptions.config.requires === 'ingest') done()
      else {
        reply.header('cache-control', 'no-store')
        protect(request.raw, reply.raw, () => done())
      }
    })
  },
  { name: 'http-security-headers' },
)
