import helmet from '@fastify/helmet'
import fp from 'fastify-plugin'

/**
 * Headers that tell browsers to take nothing here for a page. Heartbeats go without: their senders are no browsers, and a dozen headers on
 * each would be most of the answer.
 */
export const securityHeadersPlugin = fp<{ siteUrl: string | undefined }>(
  async (app, { siteUrl }) => {
    app.addHook('onRoute', (route) => {
      if (route.config?.access === 'ping') route.helmet = false
    })
    await app.register(helmet, {
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"], 'base-uri': ["'none'"] },
      },
      // The API may be called from any page that has a key.
      crossOriginResourcePolicy: { policy: 'cross-origin' },
      // A promise that only whoever terminates TLS can make.
      strictTransportSecurity: siteUrl?.startsWith('https:') ? { maxAge: 31_536_000 } : false,
    })
  },
  { name: 'http-security-headers' },
)
