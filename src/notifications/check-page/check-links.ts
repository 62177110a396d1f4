// Links to a check in messages: they need no key, and reveal none. They are encrypted, because the id of a check is the
// address to which heartbeats are sent, and good for a week.

import { parse, stringify } from 'uuid'
import type { Encryption } from '../../channels/secrets/encryption.ts'
import { AppError } from '../../core/errors.ts'

const goodForMs = 7 * 86_400_000

/** The purpose of a link, so that it cannot be used for another one. */
const purposes = { page: 'link to a check', acknowledgement: 'link to acknowledge' }

type Purpose = keyof typeof purposes

export type CheckLinks = ReturnType<typeof createCheckLinks>

export function createCheckLinks(options: { encryption: Encryption; siteUrl: () => string; now: () => number }) {
  const { encryption, siteUrl, now } = options

  function seal(purpose: Purpose, checkId: string, flipSeq: number): string {
    const id = Buffer.from(parse(checkId)).toString('base64url')
    const untilS = Math.ceil((now() + goodForMs) / 1000)
    return encryption.encrypt(`${id}.${untilS.toString(36)}.${flipSeq}`, purposes[purpose]).toString('base64url')
  }

  function opened(purpose: Purpose, token: string): string {
    try {
      return encryption.decrypt(Buffer.from(token, 'base64url'), purposes[purpose])
    } catch {
      throw new AppError('not_found', 'this link is not valid')
    }
  }

  return {
    /** The page with the status of the check. */
    page: (checkId: string) => `${siteUrl()}/checks/${seal('page', checkId, 0)}`,

    /** The page on which people acknowledge the outage that began with the flip. */
    acknowledgement: ({ checkId, flipSeq }: { checkId: string; flipSeq: number }) =>
      `${siteUrl()}/acknowledge/${seal('acknowledgement', checkId, flipSeq)}`,

    /** The content of a link's token. Throws if it is not valid or has expired. */
    open(purpose: Purpose, token: string): { checkId: string; flipSeq: number } {
      const [id = '', untilS = '', flipSeq] = opened(purpose, token).split('.')
      if (Number.parseInt(untilS, 36) * 1000 < now()) throw new AppError('gone', 'this link is too old')
      return { checkId: stringify(Buffer.from(id, 'base64url')), flipSeq: Number(flipSeq) }
    },
  }
}
