import { LRUCache } from 'lru-cache'
import type { WatchedCheck } from '../../core/check.ts'
import { atMost } from '../../kit/cache.ts'
import type { ByCheck, Received } from '../signal.ts'
import { type SignatureProblem, type SigningSecret, verifySignature } from './verification.ts'

export type Verifier = ReturnType<typeof createVerifier>

const lineEveryMs = 60_000
const linesMax = 1000

/** Removes the heartbeats whose checks require a signature that they do not have. */
export function createVerifier(options: {
  /** Null if they cannot be decrypted. */
  secretsOf: (checkId: string, encrypted: Buffer) => readonly SigningSecret[] | null
  sitePath: () => string
  now: () => number
  log: { warn(o: object, message: string): void }
}) {
  const { secretsOf, sitePath, now, log } = options
  const quietUntil = new LRUCache<string, number>(atMost(linesMax))

  /** One line per check and minute. */
  function report(check: string, rule: SignatureProblem, { sender, requestId }: Received): void {
    if ((quietUntil.get(check) ?? 0) > now()) return
    quietUntil.set(check, now() + lineEveryMs)
    const line = { event: 'heartbeat.unsigned', check, rule, ip: sender.address, requestId }
    log.warn(line, 'a heartbeat without the signature that its check requires was refused')
  }

  /** A repeated request is recognised by its signature, as others by the ids that their senders give them. */
  return function verify(
    locked: readonly WatchedCheck[],
    byCheck: ByCheck,
  ): { byCheck: ByCheck; refused: ReadonlyMap<string, SignatureProblem> } {
    const refused = new Map<string, SignatureProblem>()
    const signed = locked.filter(({ signingSecret }) => signingSecret)
    if (signed.length === 0) return { byCheck, refused }
    const verified = new Map(byCheck)
    for (const { id, signingSecret } of signed) {
      const secrets = secretsOf(id, signingSecret as Buffer)
      const kept = (byCheck.get(id) ?? []).flatMap((received) => {
        const found = verifySignature(received, secrets, sitePath())
        if (typeof found === 'object') return [{ ...received, dedupeKey: found.mac }]
        refused.set(received.id, found)
        report(id, found, received)
        return []
      })
      verified.set(id, kept)
    }
    return { byCheck: verified, refused }
  }
}
