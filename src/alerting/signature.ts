// What a link in a message says is signed, so that it may do something without a key. Every configured key verifies: links outlive a
// rotation.

import { createHmac, timingSafeEqual } from 'node:crypto'

/** `keys` are those of secrets at rest: the first signs, all are read. */
export function createSigner(keys: readonly Buffer[]) {
  const linkKeys = keys.map((key) => createHmac('sha256', key).update('flatline links').digest())
  const macBy = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest('base64url')

  return {
    sign: (text: string): string => macBy(linkKeys[0] as Buffer, text),

    isSigned(text: string, mac: string): boolean {
      const given = Buffer.from(mac)
      return linkKeys.some((key) => {
        const right = Buffer.from(macBy(key, text))
        return right.length === given.length && timingSafeEqual(right, given)
      })
    },
  }
}
