// The page to which the link of a message leads: it shows the status of the check, without a key, and can change nothing.

import type { CheckView } from '../../checks/view.ts'
import { AppError } from '../../core/errors.ts'
import type { Database } from '../../database/service.ts'
import { selectOutage } from '../suppression/acknowledgements-store.ts'
import type { CheckLinks } from './check-links.ts'
import * as store from './check-page-store.ts'

const pingsShown = 10

export type CheckPageContent = {
  check: CheckView
  project: string
  since: store.LatestFlip | null
  pings: store.SeenPing[]
}

export type CheckPage = ReturnType<typeof createCheckPage>

export function createCheckPage(options: {
  database: Database
  links: Pick<CheckLinks, 'open'>
  checkViews: (checks: readonly { projectId: string; id: string }[]) => Promise<(CheckView | null)[]>
}) {
  const { database, checkViews, links } = options

  return {
    async read(token: string): Promise<CheckPageContent> {
      const { checkId: id } = links.open('page', token)
      const found = await selectOutage(database, null, id)
      const [check = null] = found === null ? [] : await checkViews([{ projectId: found.projectId, id }])
      if (found === null || check === null) throw new AppError('not_found', 'check not found')
      const [since, pings] = await Promise.all([
        store.selectLatestFlip(database, id),
        store.selectSeenPings(database, id, pingsShown),
      ])
      return { check, project: found.project, since, pings }
    },
  }
}
