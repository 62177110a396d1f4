// The address by which the recipient of a channel's mails may switch it off.

import { createSigner } from './signature.ts'

export type SignedLinks = ReturnType<typeof createSignedLinks>

export function createSignedLinks({ keys, siteUrl }: { keys: readonly Buffer[]; siteUrl: () => string }) {
  const signer = createSigner(keys)
  const textOf = (channelId: string) => `unsubscribe ${channelId}`

  return {
    unsubscribe: (channelId: string) =>
      `${siteUrl()}/api/v3/channels/${channelId}/unsubscribe/${signer.sign(textOf(channelId))}`,

    mayUnsubscribe: (channelId: string, signature: string) => signer.isSigned(textOf(channelId), signature),
  }
}
