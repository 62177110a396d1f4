import type { AddressInfo } from 'node:net'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Base of ping URLs and links, without a slash at the end. Known once the service listens, unless it is configured.
     */
    siteUrl: () => string
    /**
     * The path of that base, empty if it has none. Forms and redirects begin with it, so that they lead back to the
     * host that the reader used, and through the proxy that removes the path.
     */
    sitePath: () => string
  }
}

export const siteUrlPlugin = fp<{ siteUrl: string | undefined }>(
  async (app, { siteUrl }) => {
    const path = siteUrl === undefined ? '' : new URL(siteUrl).pathname.replace(/\/+$/, '')
    app.decorate('siteUrl', () => siteUrl ?? listenUrl(app.server.address() as AddressInfo | null))
    app.decorate('sitePath', () => path)
  },
  { name: 'site-url' },
)

function listenUrl(address: AddressInfo | null): string {
  if (address === null) return 'http://localhost'
  const anywhere = ['0.0.0.0', '::'].includes(address.address)
  const host = anywhere ? 'localhost' : address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}
