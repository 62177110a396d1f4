// The address by which the recipient of a channel's mails may switch it off. It holds for that recipient: once the channel mails somebody else,
// whoever got its mails before has no say.

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
