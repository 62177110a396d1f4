import fp from 'fastify-plugin'
import { badgeRoutes } from './routes.ts'
import { createBadges } from './service.ts'

export const badgesPlugin = fp<{ label: string }>(
  async (app, { label }) => {
    const { database, monitors, siteUrl } = app
    await app.register(badgeRoutes, { badges: createBadges({ database, monitors, siteUrl, label }) })
  },
  { name: 'badges', dependencies: ['database', 'monitors', 'auth', 'site-url'] },
)
