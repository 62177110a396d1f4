// The link with which the recipient of a channel's mails switches the channel off, without a key. It is signed, and valid for that
// recipient only: once the channel mails another address, the earlier link does nothing. Every configured key verifies, because links
// outlive a rotation.

import { createHmac, timingSafeEqual } from 'node:crypto'

export type UnsubscribeLinks = ReturnType<typeof createUnsubscribeLinks>

/** `keys` are those of secrets at rest: the first signs, all verify. */
export function createUnsubscribeLinks({ keys, siteUrl }: { keys: readonly Buffer[]; siteUrl: () => string }) {
  const linkKeys = keys.map((key) => createHmac('sha256', key).update('flatline links').digest())
  const macBy = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest('base64url')
  const textOf = (channelId: string, recipient: string) => `unsubscribe ${channelId} ${recipient.toLowerCase()}`

  return {
    link: (channelId: string, recipient: string) =>
      `${siteUrl()}/api/v3/channels/${channelId}/unsubscribe/${macBy(linkKeys[0] as Buffer, textOf(channelId, recipient))}`,

    isValid(channelId: string, recipient: string, signature: string): boolean {
      const given = Buffer.from(signature)
      return linkKeys.some((key) => {
        const right = Buffer.from(macBy(key, textOf(channelId, recipient)))
        return right.length === given.length && timingSafeEqual(right, given)
      })
    },
  }
}
