// The link with which the recipient of a channel's mails switches the channel off. It is valid for that recipient only:
// once the channel mails another address, the earlier link does nothing.

import { createSigner } from './signature.ts'

export type SignedLinks = ReturnType<typeof createSignedLinks>

export function createSignedLinks({ keys, siteUrl }: { keys: readonly Buffer[]; siteUrl: () => string }) {
  const signer = createSigner(keys)
  const textOf = (channelId: string, recipient: string) => `unsubscribe ${channelId} ${recipient.toLowerCase()}`

  return {
    unsubscribe: (channelId: string, recipient: string) =>
      `${siteUrl()}/api/v3/channels/${channelId}/unsubscribe/${signer.sign(textOf(channelId, recipient))}`,

    mayUnsubscribe: (channelId: string, recipient: string, signature: string) =>
      signer.isSigned(textOf(channelId, recipient), signature),
  }
}
