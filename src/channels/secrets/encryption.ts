// Secrets at rest: AES-256-GCM. A ciphertext is version (1 byte), key id (4), nonce (12), tag (16), encrypted text.
// `context` names the row and is authenticated with it, so that a ciphertext copied into another row cannot be
// decrypted there.

import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataDirMode } from '../../config/data-dir.ts'

export type Encryption = ReturnType<typeof createEncryption>

/** The context of a channel's settings. */
export const settingsContext = (channelId: string) => `channels/${channelId}`

const version = 1
const keyBytes = 32
const tagStart = 1 + 4 + 12
const ciphertextStart = tagStart + 16

/** Each key has 32 bytes. The first encrypts, all decrypt. */
export function createEncryption(keys: readonly Buffer[]) {
  const [current] = keys
  if (current === undefined || keys.some((key) => key.length !== keyBytes))
    throw new Error('encryption requires keys of 32 bytes')

  return {
    encrypt(plain: string, context: string): Buffer<ArrayBuffer> {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', current, nonce).setAAD(Buffer.from(context))
      const ciphertext = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.of(version), keyId(current), nonce, cipher.getAuthTag(), ciphertext])
    },

    /** Whether a ciphertext was made with the first key. */
    isCurrent: (box: Uint8Array): boolean => keyId(current).equals(Buffer.from(box).subarray(1, 5)),

    /** Throws if no key fits, the ciphertext was changed or it belongs to another context. */
    decrypt(box: Uint8Array, context: string): string {
      const bytes = Buffer.from(box)
      const key = keys.find((candidate) => keyId(candidate).equals(bytes.subarray(1, 5)))
      if (bytes[0] !== version || bytes.length < ciphertextStart || key === undefined)
        throw new Error('not encrypted with any of the configured keys')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(5, tagStart), { authTagLength: 16 })
        .setAAD(Buffer.from(context))
        .setAuthTag(bytes.subarray(tagStart, ciphertextStart))
      return decipher.update(bytes.subarray(ciphertextStart), undefined, 'utf8') + decipher.final('utf8')
    },
  }
}

/** Identifies a key without revealing it; each ciphertext contains the id of its key. */
export function keyId(key: Buffer): Buffer {
  return createHash('sha256').update(key).digest().subarray(0, 4)
}

type KeySource = { encryptionKey?: readonly string[] | undefined; dataDir: string }

/** The configured keys, or the one generated under `dataDir`, which only the local profile allows. */
export function loadKeys(options: KeySource): Buffer[] {
  return configuredKeys(options) ?? [localKey(options.dataDir)]
}

/** The same, but generates no key: empty if there is none yet. */
export function existingKeys(options: KeySource): Buffer[] {
  const configured = configuredKeys(options)
  if (configured) return configured
  const file = localKeyFile(options.dataDir)
  return existsSync(file) ? [readKey(file)] : []
}

function configuredKeys({ encryptionKey }: KeySource): Buffer[] | undefined {
  return encryptionKey?.map((hex) => Buffer.from(hex, 'hex'))
}

export function localKeyFile(dataDir: string): string {
  return join(dataDir, 'encryption.key')
}

/** A file under its final name is always complete: link, unlike rename, lets the first of two processes win. */
function localKey(dataDir: string): Buffer {
  const file = localKeyFile(dataDir)
  try {
    return readKey(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  mkdirSync(dataDir, { recursive: true, mode: dataDirMode })
  const draft = `${file}.${process.pid}-${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(draft, `${randomBytes(keyBytes).toString('hex')}\n`, { mode: 0o600, flag: 'wx', flush: true })
    linkSync(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return readKey(file)
}

function readKey(file: string): Buffer {
  const hex = readFileSync(file, 'utf8').trim()
  // Never replaced by a new one: everything that was encrypted with the right key would be lost.
  if (!/^[0-9a-f]{64}$/i.test(hex)) throw new Error(`${file} does not hold 64 hex digits; restore it from a backup`)
  return Buffer.from(hex, 'hex')
}
