import fp from 'fastify-plugin'
import helmet from 'helmet'

/**
 * Headers that forbid browsers to treat an answer as a page, and caches to store it unless its route allows it: most
 * answers contain keys, uuids, which are credentials of their checks, or momentary values. Heartbeats have no such
 * headers: their senders are not browsers, and a dozen headers would be most of the answer. This uses Helmet without
 * its Fastify plugin, which creates a function for each reply, even without headers, in V8's old space: in a flood of
 * heartbeats these live until the next major garbage collection.
 */
export const securityHeadersPlugin = fp<{ siteUrl: string | undefined }>(
  async (app, { siteUrl }) => {
    const protect = helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"], 'base-uri': ["'none'"] },
      },
      // Any page that has a key may call the API.
      crossOriginResourcePolicy: { policy: 'cross-origin' },
      // Only the server that terminates TLS can promise this.
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
