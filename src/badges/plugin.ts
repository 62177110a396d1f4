import fp from 'fastify-plugin'
import { badgeRoutes } from './routes.ts'
import { createBadges } from './service.ts'

export const badgesPlugin = fp<{ label: string }>(
  async (app, { label }) => {
    const { database, checks, siteUrl } = app
    await app.register(badgeRoutes, { badges: createBadges({ database, checks, siteUrl, label }) })
  },
  { name: 'badges', dependencies: ['database', 'checks', 'auth', 'site-url'] },
)
