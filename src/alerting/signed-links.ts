// Addresses in messages that may do something without a key: what they say is signed. Every configured key verifies, so that links
// outlive a rotation.

import { createHmac, timingSafeEqual } from 'node:crypto'

export type SignedLinks = ReturnType<typeof createSignedLinks>

const purpose = 'flatline signed links'

/** `keys` are those that encrypt secrets at rest. */
export function createSignedLinks({ keys, siteUrl }: { keys: readonly Buffer[]; siteUrl: () => string }) {
  const signers = keys.map((key) => createHmac('sha256', key).update(purpose).digest())

  const signatureBy = (signer: Buffer, subject: string) =>
    createHmac('sha256', signer).update(subject).digest().subarray(0, 18)

  const sign = (subject: string) => signatureBy(signers[0] as Buffer, subject).toString('base64url')

  return {
    /** Where the recipient of a channel's messages says that they want no more of them. */
    unsubscribe: (channelId: string) =>
      `${siteUrl()}/api/v3/channels/${channelId}/unsubscribe/${sign(`unsubscribe ${channelId}`)}`,

    mayUnsubscribe: (channelId: string, signature: string) => verify(`unsubscribe ${channelId}`, signature),
  }

  function verify(subject: string, signature: string): boolean {
    const given = Buffer.from(signature, 'base64url')
    return signers.some((signer) => {
      const wanted = signatureBy(signer, subject)
      return given.length === wanted.length && timingSafeEqual(given, wanted)
    })
  }
}
