import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { CheckView } from '../../checks/view.ts'
import { bothForms } from '../../http/slashes.ts'
import { expectation, nameOf, reasonText } from '../../messages/alert.ts'
import { linkConfig, pageCall, sendPage } from '../../messages/link-routes.ts'
import { escaped, heading } from '../../messages/page.ts'
import { instantText } from '../../messages/text.ts'
import { LinkToken } from '../schema.ts'
import type { CheckPage, CheckPageContent } from './check-page.ts'

const statusTexts: Record<CheckView['status'], string> = {
  new: 'No heartbeat has come yet.',
  up: 'It is up.',
  grace: 'A heartbeat is late; it is not down yet.',
  down: 'It is down.',
  paused: 'It is paused.',
}

const show = pageCall('lookAtCheck', {
  summary: 'The state of a check, for the reader of an alert; changes nothing',
  page: 'A page with the status, since when, what is expected and the last heartbeats',
  params: LinkToken,
  statuses: [404, 410],
})

export const checkPageRoutes: FastifyPluginAsyncTypebox<{ checkPage: CheckPage }> = async (app, { checkPage }) => {
  for (const { url, form } of bothForms('/checks/:token')) {
    const config = { ...linkConfig, requires: 'links:show-check', ...form } as const
    app.get(url, { config, schema: show }, async (request, reply) => {
      const content = await checkPage.read(request.params.token)
      return sendPage(reply.header('referrer-policy', 'no-referrer'), pageOf(content))
    })
  }
}

function pageOf({ check, project, since, pings }: CheckPageContent): string {
  const textOf = (at: number | null) => (at === null ? undefined : instantText(at))
  const facts: [label: string, value: string | undefined][] = [
    ['Since', since === null ? undefined : `${instantText(since.at)}. ${reasonText(since.reason)}`],
    ['Running', check.started ? 'a run is under way' : undefined],
    ['Last heartbeat', textOf(check.lastPing) ?? 'none yet'],
    ['Expected', expectation(check)],
    ['Next expected', textOf(check.nextPing)],
    ['Tags', check.tags],
    ['Notes', check.desc],
  ]
  const rows = facts.flatMap(([label, value]) => (value ? [`<dt>${label}</dt><dd>${escaped(value)}</dd>`] : []))
  const list = pings.map(({ n, kind, at, exitStatus }) => {
    const exit = exitStatus === null ? '' : `, exit status ${exitStatus}`
    return `<li>#${n} ${instantText(at)}: ${kind}${exit}</li>`
  })
  const heartbeats = list.length === 0 ? '' : `<h2>Last heartbeats</h2><ul>${list.join('')}</ul>`
  const status = statusTexts[check.status]
  return `${heading(nameOf(check), project)}<p>${status}</p><dl>${rows.join('')}</dl>${heartbeats}`
}
