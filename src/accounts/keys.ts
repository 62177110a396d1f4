// Keys are random and long, so a plain SHA-256 is stored: they cannot be guessed, so a slow hash is not needed.

import { createHash, randomInt, timingSafeEqual } from 'node:crypto'
import type { KeyHashes, KeyKind } from './store.ts'

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** API keys have 32 characters and ping keys 22, as in Healthchecks. */
export function generateKey(kind: KeyKind): string {
  const prefix = { api_key: 'flw_', api_key_readonly: 'flr_', ping_key: '' }[kind]
  const length = kind === 'ping_key' ? 22 : 32 - prefix.length
  return prefix + Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
}

export function hashKey(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/**
 * The hashes by which a key is stored. A ping key with capitals also has `mailboxHash`, the hash of its lower-case
 * form, because mail servers may change the case of a mailbox.
 */
export function hashesOf(kind: KeyKind, key: string): KeyHashes {
  const lower = key.toLowerCase()
  return { hash: hashKey(key), mailboxHash: kind === 'ping_key' && lower !== key ? hashKey(lower) : null }
}

/** Constant-time for any lengths. */
export function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(hashKey(given), hashKey(expected))
}
