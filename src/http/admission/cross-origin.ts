// Pages of any origin may call the API and show badges: a key authenticates the caller, and there are no cookies.
// Addresses outside of /api/ are for operators, probes and people who follow a link; pages of other origins have no
// reason to read them.

import fp from 'fastify-plugin'

const openPath = /^\/(?:api|badge|b)\//
const shared = {
  'access-control-allow-origin': '*',
  'access-control-allow-headers': 'X-Api-Key, Authorization, Content-Type',
  'access-control-expose-headers': 'Retry-After, X-Request-Id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset',
  'access-control-max-age': '600',
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** False for an address below an open path that pages of other origins need not call. */
    crossOrigin?: boolean
  }
}

/** Whether preflights at an address of this pattern are answered here. */
export const answersPreflights = (path: string): boolean => openPath.test(path)

/** CORS headers (Fetch standard, 3.3) on every answer at such an address, failures too. */
export const crossOriginPlugin = fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      if (openPath.test(request.url) && request.routeOptions.config.crossOrigin !== false) {
        const methods = app.knownAddresses.methodsOf(request)
        reply.headers(shared)
        if (methods !== undefined) reply.header('access-control-allow-methods', methods)
      }
      done()
    })
  },
  { name: 'http-cross-origin', dependencies: ['http-addresses'] },
)
