// scripts/backup.sh and scripts/restore.sh against a real PostgreSQL 15, with Debian's tools.

import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { kindsByContent } from '../../database/contents.ts'
import { build, createReceiver, eventually, scratchDir } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { type Ended, flatline, run } from '../../scenarios/command.ts'
import { needsTool } from '../../tools.ts'
import { bin, type Cluster, createCluster, needsDebianPostgres } from './debian-postgres.ts'

const skip = needsDebianPostgres() || needsTool('pg_dump') || needsTool('gpg')
const hour = 3_600_000

describe('backup.sh and restore.sh', { skip }, () => {
  let cluster: Cluster
  let databases = 0
  const ends: (() => unknown)[] = []
  before(async () => {
    cluster = await createCluster({ after: (end) => ends.push(end as () => unknown) }, { fsync: 'off' })
  })
  after(async () => {
    for (const end of ends.reverse()) await end()
  })

  type Scope = Parameters<typeof build>[0]

  async function newDatabase(): Promise<string> {
    const name = `d${++databases}`
    await sql(cluster.url('postgres'), `CREATE DATABASE ${name}`)
    return cluster.url(name)
  }

  const script = (t: Scope, name: string, url: string, args: string[], env: Record<string, string> = {}) =>
    run(t, [join('scripts', name), ...args], { DATABASE_URL: url, ...env })

  async function backUp(t: Scope, url: string, args: string[] = [], env: Record<string, string> = {}) {
    const done = await script(t, 'backup.sh', url, [...args, await scratchDir(t)], env)
    assert.equal(done.code, 0, done.err)
    return done.out.toString().trim()
  }

  /** A database that a service has worked on, with some history; the service is gone. */
  async function usedDatabase(t: Scope): Promise<string> {
    const url = await newDatabase()
    const { app, call } = await build(t, { DATABASE_URL: url })
    const check = (await call('POST', '/api/v3/checks/', { name: 'Ünï\t\\.', timeout: 60, grace: 60 })).json()
    for (const body of ['precious', '\\.\n', '\u{1f493}'])
      await call('POST', new URL(String(check.ping_url)).pathname, body, {})
    await app.close()
    return url
  }

  test('a backup taken under load passes a rehearsal, and every row equals its snapshot', async (t) => {
    const url = await newDatabase()
    const { call, app } = await build(t, { DATABASE_URL: url })
    const check = (await call('POST', '/api/v3/checks/', { name: 'loaded', timeout: 60, grace: 60 })).json()
    const ping = new URL(String(check.ping_url)).pathname
    let loading = true
    let answered = 0
    const load = Array.from({ length: 3 }, async () => {
      for (; loading; answered++) assert.equal((await call('POST', ping, 'beat', {})).status, 200)
    })
    await eventually('some load', () => answered > 100)
    const dir = await backUp(t, url)
    const during = answered
    await eventually('more load', () => answered > during + 20)
    const rehearsed = await script(t, 'restore.sh', url, ['--rehearse', dir])
    loading = false
    await Promise.all(load)
    await app.close()
    assert.equal(rehearsed.code, 0, rehearsed.err)
    assert.match(rehearsed.err, /^restore\.sh: \d+ tables with \d+ rows are as they were, after \d+ s \(rehearsed\)\n$/)
    const names = await sql<{ datname: string }>(
      url,
      "SELECT datname FROM pg_database WHERE datname LIKE '%rehearsal%'",
    )
    assert.deepEqual(names, [])
    const tables = await readFile(join(dir, 'tables'), 'utf8')
    const rows = Number(/^public\.heartbeats\|(\d+)\|/m.exec(tables)?.[1])
    assert.ok(rows > 100 && rows < answered, `${rows} of ${answered}`)
  })

  test('a restore into an empty database brings every row back, and a service runs on it', async (t) => {
    const url = await usedDatabase(t)
    const dir = await backUp(t, url)
    assert.deepEqual((await readdir(dir)).sort(), ['SHA256SUMS', 'dump', 'tables'])
    assert.equal((await stat(dir)).mode & 0o777, 0o700)
    const target = await newDatabase()
    const restored = await script(t, 'restore.sh', target, [dir])
    assert.equal(restored.code, 0, restored.err)
    assert.deepEqual(await kindsByContent(target), await kindsByContent(url))
    const { call } = await build(t, { DATABASE_URL: target })
    const { checks } = (await call('GET', '/api/v3/checks/')).json() as { checks: { n_pings: number }[] }
    assert.equal(checks[0]?.n_pings, 3)
  })

  test('existing data is replaced only on request, without a running service, and completely or not at all', async (t) => {
    const url = await usedDatabase(t)
    const dir = await backUp(t, url)
    const before = await kindsByContent(url)
    await sql(url, "UPDATE checks SET name = 'later'; CREATE TABLE later (id int)")
    const later = await kindsByContent(url)
    const name = basename(new URL(url).pathname)

    const refused = async (args: string[], reason: RegExp) => {
      const ended = await script(t, 'restore.sh', url, args)
      assert.equal(ended.code, 1)
      assert.match(ended.err, reason)
      assert.deepEqual(await kindsByContent(url), later)
    }
    await refused([dir], /d\d+ is not empty: make a new database, or delete everything in it with --replace d\d+/)
    await refused(['--replace', 'other', dir], /the database of DATABASE_URL is d\d+, not other/)
    const half = await damagedCopy(t, dir, async (copy) => {
      const dump = await readFile(join(copy, 'dump'))
      await writeFile(join(copy, 'dump'), dump.subarray(0, dump.length - 200))
      await resum(t, copy)
    })
    await refused(['--replace', name, half], /the restore failed, and was taken back whole/)
    const running = await build(t, { DATABASE_URL: url })
    const inUse = await script(t, 'restore.sh', url, ['--replace', name, dir])
    assert.match(inUse.err, /a running Flatline has \d+ connections to d\d+: stop it first/)
    await running.app.close()

    const replaced = await script(t, 'restore.sh', url, ['--replace', name, dir])
    assert.equal(replaced.code, 0, replaced.err)
    assert.equal(replaced.err.trim().split('\n').length, 1, replaced.err)
    assert.deepEqual(await kindsByContent(url), before)
  })

  test('a damaged backup is refused, and a restore that differs from the backup fails', async (t) => {
    const url = await usedDatabase(t)
    const dir = await backUp(t, url)
    const changed = await damagedCopy(t, dir, (copy) => flipByte(join(copy, 'dump')))
    const noSums = await damagedCopy(t, dir, (copy) => writeFile(join(copy, 'SHA256SUMS'), ''))
    const otherTables = await damagedCopy(t, dir, async (copy) => {
      const tables = await readFile(join(copy, 'tables'), 'utf8')
      await writeFile(join(copy, 'tables'), tables.replace(/^(public\.checks\|1\|).*$/m, '$11'))
      await resum(t, copy)
    })
    const rehearse = (path: string) => script(t, 'restore.sh', url, ['--rehearse', path])
    for (const [path, reason] of [
      [changed, /is damaged: its SHA-256 does not fit/],
      [noSums, /is not a whole backup/],
      [otherTables, /these tables differ.*< public\.checks\|1\|1\n.*what was restored is not what was backed up/s],
      ['/nowhere', /is not a whole backup: it has no SHA256SUMS/],
    ] as const) {
      const ended = await rehearse(path)
      assert.equal(ended.code, 1, path)
      assert.match(ended.err, reason)
    }
    assert.deepEqual(await sql(url, "SELECT FROM pg_database WHERE datname LIKE '%rehearsal%'"), [])
  })

  test('an encrypted backup is readable only with its key, and every change is detected', async (t) => {
    const url = await usedDatabase(t)
    const key = join(await scratchDir(t), 'key')
    await writeFile(key, `${'k'.repeat(44)}\n`, { mode: 0o600 })
    const dir = await backUp(t, url, ['--encrypt-with', key])
    assert.deepEqual((await readdir(dir)).sort(), ['SHA256SUMS', 'dump.gpg', 'tables'])
    const target = await newDatabase()
    const restored = await script(t, 'restore.sh', target, ['--decrypt-with', key, dir])
    assert.equal(restored.code, 0, restored.err)
    assert.deepEqual(await kindsByContent(target), await kindsByContent(url))

    const other = join(await scratchDir(t), 'key')
    await writeFile(other, `${'o'.repeat(44)}\n`, { mode: 0o600 })
    const forged = await damagedCopy(t, dir, async (copy) => {
      await flipByte(join(copy, 'dump.gpg'))
      await resum(t, copy)
    })
    const open = join(await scratchDir(t), 'key')
    await writeFile(open, `${'k'.repeat(44)}\n`)
    await chmod(open, 0o644)
    for (const [args, reason] of [
      [[dir], /is encrypted: name the key with --decrypt-with/],
      [['--decrypt-with', other, dir], /cannot be decrypted with the key in/],
      [['--decrypt-with', key, forged], /cannot be decrypted with the key in/],
      [['--decrypt-with', open, dir], /can be read by others: chmod 600/],
    ] as const) {
      const ended = await script(t, 'restore.sh', url, ['--rehearse', ...args])
      assert.equal(ended.code, 1)
      assert.match(ended.err, reason)
    }
  })

  test('the password and the ping address appear on no command line and in no output', async (t) => {
    const url = await usedDatabase(t)
    const receiver = await createReceiver(t)
    const stubs = await scratchDir(t)
    const seen = join(stubs, 'seen')
    for (const program of ['psql', 'pg_dump', 'pg_restore', 'gpg', 'curl', 'sha256sum']) {
      const text = `#!/bin/bash\nprintf '%s\\n' "$0 $*" >> ${seen}\nPATH=\${PATH#*:} exec ${program} "$@"\n`
      await writeFile(join(stubs, program), text, { mode: 0o755 })
    }
    const key = join(stubs, 'key')
    await writeFile(key, `${'secret-key'.repeat(5)}\n`, { mode: 0o600 })
    const file = join(stubs, 'url')
    await writeFile(file, `${url}\n`, { mode: 0o600 })
    const env = {
      PATH: `${stubs}:${process.env.PATH}`,
      DATABASE_URL: '',
      DATABASE_URL_FILE: file,
      BACKUP_PING_URL: `${receiver.url}/ping/hidden`,
    }
    const made = await script(t, 'backup.sh', '', ['--encrypt-with', key, join(stubs, 'backups')], env)
    assert.equal(made.code, 0, made.err)
    const rehearsed = await script(
      t,
      'restore.sh',
      '',
      ['--rehearse', '--decrypt-with', key, made.out.toString().trim()],
      env,
    )
    assert.equal(rehearsed.code, 0, rehearsed.err)
    const text = [await readFile(seen, 'utf8'), made.out.toString(), made.err, rehearsed.err].join('\n')
    for (const program of ['psql', 'pg_dump', 'pg_restore', 'gpg', 'curl'])
      assert.match(text, new RegExp(`/${program} `))
    for (const hidden of [cluster.password, encodeURIComponent(cluster.password), 'secret-key', 'hidden'])
      assert.ok(!text.includes(hidden), hidden)
    assert.deepEqual(
      receiver.received.map((one) => one.url),
      ['/ping/hidden/start', '/ping/hidden/0'],
    )
  })

  test('a backup that fails leaves nothing behind, says why, and sends a failure heartbeat', async (t) => {
    const receiver = await createReceiver(t)
    const dir = await scratchDir(t)
    const stubs = await scratchDir(t)
    await writeFile(
      join(stubs, 'pg_dump'),
      '#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump 15.1" && exit\necho half; exit 1\n',
      {
        mode: 0o755,
      },
    )
    const url = await newDatabase()
    const env = { PATH: `${stubs}:${process.env.PATH}`, BACKUP_PING_URL: `${receiver.url}/p` }
    const failed = await script(t, 'backup.sh', url, [dir], env)
    assert.equal(failed.code, 1)
    assert.match(failed.err, /no backup was made/)
    assert.deepEqual(await readdir(dir), [])
    assert.deepEqual(
      receiver.received.map((one) => one.url),
      ['/p/start', '/p/1'],
    )

    await writeFile(join(stubs, 'pg_dump'), '#!/bin/sh\necho "pg_dump (PostgreSQL) 14.9"\n', { mode: 0o755 })
    const old = await script(t, 'backup.sh', url, [dir], { PATH: env.PATH })
    assert.match(old.err, /pg_dump is version 14 and the server 15: install postgresql-client-15 or newer/)
    for (const [address, reason] of [
      [`${url}x`, /the database cannot be reached/],
      ['mysql://u:hidden@host/db', /must be a postgres:\/\//],
      ['', /set DATABASE_URL, or DATABASE_URL_FILE/],
    ] as const) {
      const ended = await script(t, 'backup.sh', address, [dir])
      assert.equal(ended.code, 1)
      assert.match(ended.err, reason)
      assert.ok(!ended.err.includes('hidden'))
    }
  })

  test('pruning goes by the age in the names, and keeps the newest backups and all other files', async (t) => {
    const url = await newDatabase()
    const dir = await scratchDir(t)
    const age = (days: number) =>
      `${new Date(Date.now() - days * 24 * hour).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
    const names = [1, 2, 40, 50, 60].map((days) => `flatline-${age(days)}`)
    for (const name of [...names, 'flatline-notes', `.flatline-${age(3)}.1.partial`]) await mkdir(join(dir, name))
    await utimes(join(dir, `.flatline-${age(3)}.1.partial`), new Date(0), new Date(0))
    const before = (await readdir(dir)).sort()
    const planned = await script(t, 'backup.sh', url, ['--dry-run', '--keep', '3', dir])
    assert.deepEqual((await readdir(dir)).sort(), before)
    assert.match(planned.err, /would write \S+\/flatline-/)
    assert.equal(planned.err.match(/would remove/g)?.length, 3)

    const made = await script(t, 'backup.sh', url, ['--keep', '4', dir])
    assert.equal(made.code, 0, made.err)
    const left = [basename(made.out.toString().trim()), ...names.slice(0, 3), 'flatline-notes']
    assert.deepEqual((await readdir(dir)).sort(), left.sort())
  })

  test('psql alone restores what flatline backup wrote', async (t) => {
    const url = await usedDatabase(t)
    const { code, out, err } = await run(t, flatline('backup', '-'), { DATABASE_URL: url })
    assert.equal(code, 0, err)
    const target = await newDatabase()
    await run(t, flatline('migrate'), { DATABASE_URL: target })
    const args = ['--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--dbname', target]
    const restored = await run(t, [`${bin}/psql`, ...args], {}, gunzipSync(out))
    assert.equal(restored.code, 0, restored.err)
    assert.deepEqual(await kindsByContent(target), await kindsByContent(url))
  })

  async function damagedCopy(t: Scope, dir: string, damage: (copy: string) => Promise<unknown>): Promise<string> {
    const copy = join(await scratchDir(t), 'copy')
    succeeded(await run(t, ['cp', '-r', dir, copy]))
    await damage(copy)
    return copy
  }

  async function resum(t: Scope, dir: string): Promise<void> {
    succeeded(await run(t, ['bash', '-c', 'sha256sum dump* tables > SHA256SUMS'], {}, '', dir))
  }
})

function succeeded({ code, err }: Ended): void {
  assert.equal(code, 0, err)
}

async function flipByte(file: string): Promise<void> {
  const content = await readFile(file)
  const at = Math.floor(content.length * 0.6)
  content[at] = content[at]! ^ 1
  await writeFile(file, content)
}
