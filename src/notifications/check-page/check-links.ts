// Links to a check in messages: they need no key, and reveal none. They are encrypted, because the id of a check is the
// address to which heartbeats are sent, and good for a week.

import { parse, stringify } from 'uuid'
import type { Encryption } from '../../channels/secrets/encryption.ts'
import { AppError } from '../../core/errors.ts'

const goodForMs = 7 * 86_400_000

/** `purpose` keeps a link from being taken for one of another kind. */
export function createCheckLinks(options: { encryption: Encryption; purpose: string; now: () => number }) {
  const { encryption, purpose, now } = options

  function opened(token: string): string {
    try {
      return encryption.decrypt(Buffer.from(token, 'base64url'), purpose)
    } catch {
      throw new AppError('not_found', 'this link is not one of ours')
    }
  }

  return {
    seal(checkId: string, about = 0): string {
      const id = Buffer.from(parse(checkId)).toString('base64url')
      const untilS = Math.ceil((now() + goodForMs) / 1000)
      return encryption.encrypt(`${id}.${untilS.toString(36)}.${about}`, purpose).toString('base64url')
    },

    open(token: string): { checkId: string; about: number } {
      const [id = '', untilS = '', about] = opened(token).split('.')
      if (Number.parseInt(untilS, 36) * 1000 < now()) throw new AppError('gone', 'this link is too old')
      return { checkId: stringify(Buffer.from(id, 'base64url')), about: Number(about) }
    },
  }
}
