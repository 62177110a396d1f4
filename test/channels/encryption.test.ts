import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'
import { createEncryption, loadKeys } from '../../src/channels/secrets/encryption.ts'
import { scratchDir } from '../helper.ts'

const [first, second] = [randomBytes(32), randomBytes(32)] as const

suite('encryption', () => {
  test('decryption returns what was encrypted, and encryption never writes the same bytes twice', () => {
    const { encrypt, decrypt } = createEncryption([first])
    for (const text of ['', 'secret', 'ünïcödé €🙂', 'x'.repeat(100_000)]) {
      const box = encrypt(text, 'a')
      assert.equal(decrypt(box, 'a'), text)
      assert.notDeepEqual(encrypt(text, 'a'), box)
    }
  })

  test('after a rotation the old key still decrypts, and the first key encrypts', () => {
    const old = createEncryption([first]).encrypt('secret', 'a')
    const rotated = createEncryption([second, first])
    assert.equal(rotated.decrypt(old, 'a'), 'secret')
    assert.equal(createEncryption([second]).decrypt(rotated.encrypt('new', 'a'), 'a'), 'new')
  })

  test('a ciphertext that was changed, cut, moved to another row or made with another key is refused', () => {
    const { encrypt, decrypt } = createEncryption([first])
    const box = encrypt('secret', 'a')
    assert.throws(() => decrypt(box, 'b'))
    assert.throws(() => createEncryption([second]).decrypt(box, 'a'), /not encrypted with any of the configured keys/)
    for (let index = 0; index < box.length; index++) {
      const changed = Buffer.from(box)
      changed[index] = (changed[index] as number) ^ 1
      assert.throws(() => decrypt(changed, 'a'), `byte ${index}`)
      assert.throws(() => decrypt(box.subarray(0, index), 'a'), `cut at ${index}`)
    }
  })

  test('keys of a wrong length are refused', () => {
    assert.throws(() => createEncryption([]))
    assert.throws(() => createEncryption([first, randomBytes(16)]))
  })
})

suite('the local key', () => {
  test('the local key is not generated if keys are configured', async (t) => {
    const dataDir = join(await scratchDir(t), 'none')
    assert.deepEqual(loadKeys({ encryptionKey: [first.toString('hex')], dataDir }), [first])
    assert.throws(() => statSync(dataDir))
  })

  test('the local key is generated once, readable for its owner alone', async (t) => {
    const dataDir = join(await scratchDir(t), 'made')
    const keys = loadKeys({ dataDir })
    assert.equal(keys[0]?.length, 32)
    assert.deepEqual(loadKeys({ dataDir }), keys)
    assert.deepEqual(readdirSync(dataDir), ['encryption.key'])
    assert.equal(statSync(join(dataDir, 'encryption.key')).mode & 0o777, 0o600)
  })

  test('a damaged local key is an error and is not replaced', async (t) => {
    const dataDir = await scratchDir(t)
    writeFileSync(join(dataDir, 'encryption.key'), 'abc')
    assert.throws(() => loadKeys({ dataDir }), /restore it from a backup/)
    assert.equal(readFileSync(join(dataDir, 'encryption.key'), 'utf8'), 'abc')
  })

  test('processes that start at once agree on one local key', async (t) => {
    const dataDir = await scratchDir(t)
    const module = new URL('../../src/channels/secrets/encryption.ts', import.meta.url).href
    const script = `import { loadKeys } from ${JSON.stringify(module)}
      process.stdout.write(loadKeys({ dataDir: ${JSON.stringify(dataDir)} })[0].toString('hex'))`
    const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    const keys = await Promise.all(Array.from({ length: 8 }, run))
    assert.equal(new Set(keys.map(({ stdout }) => stdout)).size, 1)
    assert.deepEqual(readdirSync(dataDir), ['encryption.key'])
  })
})
