// Only the owner can read what the service and its commands write, and only the owner can write there, whatever the
// umask is.

import assert from 'node:assert/strict'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { adminToken, call, eventually, keys, scratchDir } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'
import { flatline, run } from './command.ts'
import { startService } from './service.ts'

/** Paths below `dir`, of files that others may read or write, and of directories that they may list or write to. */
async function open(dir: string, allowed: (path: string, isDirectory: boolean) => number): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { mode } = await stat(path)
    const forOthers = mode & 0o077 & ~allowed(path, entry.isDirectory())
    if (forOthers !== 0) found.push(`${path} ${(mode & 0o777).toString(8)}`)
  }
  return found
}

for (const umask of ['022', '000']) {
  test(`with umask ${umask} all written files are private`, async (t) => {
    const home = await scratchDir(t)
    const [data, logs, made] = ['data', 'logs', 'made'].map((name) => join(home, name)) as [string, string, string]
    await mkdir(made, { mode: 0o700 })
    const databaseUrl = await createDatabase(t)
    const env = {
      DATABASE_URL: databaseUrl,
      DATA_DIR: data,
      LOG_FILE: join(logs, 'flatline.log'),
      FLATLINE__LOG__ROTATE_BYTES: '4096',
      ENCRYPTION_KEY: '',
    }
    const service = await startService(t, { env, ready: false, umask, logFile: env.LOG_FILE })
    await eventually('readiness', async () => (await fetch(`${service.url}/health/ready`)).status === 200)
    for (let n = 0; (await readdir(logs)).length < 4; n++) {
      assert.ok(n < 2000, 'the log is rotated')
      await call(service.url, 'GET', '/api/v3/checks/')
    }
    const { uuid } = (await call(service.url, 'POST', '/api/v3/checks/', { name: 'job' })).json()
    const channel = { kind: 'webhook', name: 'hook', settings: { url: 'http://127.0.0.1:1' } }
    assert.equal((await call(service.url, 'POST', '/api/v3/channels/', channel)).status, 201)

    const as = (...args: string[]) =>
      run(t, ['sh', '-c', `umask ${umask} && exec "$0" "$@"`, ...flatline(...args)], env)
    const old = join(made, 'old.yaml')
    await writeFile(old, 'of an older version', { mode: 0o644 })
    for (const args of [
      ['backup', join(made, 'backup.gz')],
      ['backup', made],
      ['export', '--server', service.url, '--key', keys.api_key, '--output', join(made, 'new.yaml')],
      ['export', '--server', service.url, '--key', keys.api_key, '--output', old],
    ]) {
      const { code, err } = await as(...args)
      assert.equal(code, 0, err)
    }

    const name = /\/([^/?]+)\?/.exec(databaseUrl)?.[1] as string
    const admin = (text: string) => sql(process.env.TEST_DATABASE_URL as string, text)
    await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
    await admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`)
    await eventually('a heartbeat in the spool', async () => {
      assert.equal((await fetch(`${service.url}/ping/${uuid}`)).status, 200)
      return (await readdir(data, { recursive: true })).some((path) => path.endsWith('.spool'))
    })
    await call(service.url, 'POST', '/admin/shutdown', undefined, { authorization: `Bearer ${adminToken}` })
    assert.equal(await service.exited, 0)

    const written = await readdir(home, { recursive: true })
    for (const wanted of [
      /encryption\.key$/,
      /\.spool$/,
      /owner/,
      /last-shutdown\.json$/,
      /flatline\.log$/,
      /flatline\.log\.1$/,
      /\.error\.log$/,
      /\.gz$/,
      /new\.yaml$/,
    ])
      assert.ok(
        written.some((path) => wanted.test(path)),
        `${wanted}: ${written}`,
      )
    // Others may list the directory of logs, and the account of the embedded database may enter DATA_DIR.
    const allowed = (path: string, isDirectory: boolean) =>
      path === logs ? 0o055 : path === data && isDirectory ? 0o011 : 0
    assert.deepEqual(await open(home, allowed), [])
  })
}

test('FLATLINE__LOG__FILE_MODE lets a group read the log, and nothing lets others write it', async (t) => {
  const logs = join(await scratchDir(t), 'logs')
  const env = { DATABASE_URL: await createDatabase(t), LOG_FILE: join(logs, 'flatline.log') }
  const service = await startService(t, {
    env: { ...env, FLATLINE__LOG__FILE_MODE: '640' },
    ready: false,
    umask: '000',
    logFile: env.LOG_FILE,
  })
  await eventually('readiness', async () => (await fetch(`${service.url}/health/ready`)).status === 200)
  assert.equal(await service.stop(), 0)
  const written = await readdir(logs)
  assert.ok(written.includes('flatline.log'), written.join())
  for (const file of written) assert.equal((await stat(join(logs, file))).mode & 0o777, 0o640, file)
  for (const mode of ['666', '644x', '777', '200', '0']) {
    const { code, err } = await run(t, flatline('config'), { ...env, FLATLINE__LOG__FILE_MODE: mode })
    assert.equal(code, 1)
    assert.match(err, /FLATLINE__LOG__FILE_MODE: .*must be an octal mode/)
  }
})
