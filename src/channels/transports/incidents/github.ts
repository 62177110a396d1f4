// GitHub: an issue for each outage; the recovery comments on it and closes it. A comment in the issue's source names
// the incident, by which the issue is found again, through a search that takes a moment to index new issues.

import { type Static, Type } from 'typebox'
import type { Alert } from '../../../messages/alert.ts'
import { fitText, within } from '../../../messages/fit.ts'
import { bodyOf, markdown, messageOf, plain, unmentioned } from '../../../messages/markup.ts'
import {
  type ApiRequest,
  alertFor,
  bearer,
  exchangeMarked,
  pick,
  type VendorAnswers,
  words,
} from '../../wire/http-transport.ts'
import {
  address,
  base,
  DeliveryError,
  type SendContext,
  settingsOf,
  type Transport,
  token,
} from '../../wire/transport.ts'

const vendor = 'https://api.github.com'
const titleMax = 256
const bodyMax = 65_000
/** How often a recovery searches for the issue of its outage. */
const looksMax = 6

const Settings = settingsOf({
  repo: Type.String({ pattern: '^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$', rule: 'must be owner/name' }),
  token: token(),
  labels: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 50 }), { maxItems: 10 })),
  api_url: Type.Optional(address({ default: vendor })),
})

const answers: VendorAnswers = {
  read(body, { status, headers }, now) {
    const reset = Number(headers['x-ratelimit-reset']) * 1000
    const limited =
      [403, 429].includes(status) && (headers['x-ratelimit-remaining'] === '0' || 'retry-after' in headers)
    const wait = Number(headers['retry-after']) * 1000 || reset - now
    // GitHub's own errors name its documentation; those of a proxy do not.
    const own = /^https:\/\/(docs|developer)\.github\.com\//.test(String(pick(body, 'documentation_url')))
    return {
      says: words(pick(body, 'message')),
      busy: limited,
      ...(own && [404, 410].includes(status) && { gone: true }),
      ...(limited && wait > 0 && { retryAfterMs: wait }),
    }
  },
}

export const github: Transport<Static<typeof Settings>> = {
  kind: 'github',
  category: 'incident',
  pace: { burst: 5, perMinute: 15 },
  settings: Settings,

  async send(message, settings, context) {
    const alert = alertFor(message, settings, context)
    const { attempt } = message.delivery
    const { repo, labels = [] } = settings
    const ask = createGithubCall(settings, context)
    if (alert.phase === 'resolved') {
      const number = await find(alert, repo, ask)
      if (number === undefined && attempt < looksMax)
        throw new DeliveryError('the issue of the outage is not found yet', { retryable: true })
      if (number === undefined) return { suppressed: 'there is no open issue of the outage' }
      await ask(
        'POST',
        `/repos/${repo}/issues/${number}/comments`,
        { body: `${markdown.text(alert.title)}\n\n${issueBody(alert)}` },
        { body: codeBody(alert) },
      )
      await ask('PATCH', `/repos/${repo}/issues/${number}`, { state: 'closed', state_reason: 'completed' })
      return 'sent'
    }
    // The answer to an earlier attempt may have been lost.
    if (attempt > 1 && (await find(alert, repo, ask)) !== undefined) return 'sent'
    const issue = (body: string) => ({
      title: within(titleMax, alert.title, unmentioned),
      body: `${body}\n\n<!-- ${alert.incident} -->`,
      ...(labels.length > 0 && { labels }),
    })
    await ask('POST', `/repos/${repo}/issues`, issue(issueBody(alert)), issue(codeBody(alert)))
    return 'sent'
  },
}

/** `plainly` is the body without markup, which is sent if the one with markup is refused. */
type GithubCall = (
  method: NonNullable<ApiRequest['method']>,
  path: string,
  json?: object,
  plainly?: object,
) => Promise<unknown>

function createGithubCall({ token, api_url = vendor }: Static<typeof Settings>, context: SendContext): GithubCall {
  const headers = { ...bearer(token), accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' }
  return async (method, path, json, plainly) => {
    const request = (body?: object) => ({ url: base(api_url) + path, method, headers, ...(body && { json: body }) })
    const response = await exchangeMarked(request(json), () => plainly && request(plainly), answers, context)
    return JSON.parse(response.body.toString('utf8')) as unknown
  }
}

async function find({ incident }: Alert, repo: string, ask: GithubCall): Promise<string | number | undefined> {
  const query = new URLSearchParams({ q: `repo:${repo} is:issue is:open in:body "${incident}"`, per_page: '1' })
  return pick(await ask('GET', `/search/issues?${query}`), 'items', 0, 'number')
}

/** GitHub has no plain text; in a code block nothing is read as markup. */
const codeBody = (alert: Alert) => fitText(alert, bodyMax, (part) => markdown.code(messageOf(part, plain)))

const issueBody = (alert: Alert) => fitText(alert, bodyMax, (part) => bodyOf(part, markdown))
