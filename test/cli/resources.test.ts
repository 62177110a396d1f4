// `flatline checks list` and the like, against one running service.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { nearest } from '../../src/cli/arguments/nearest.ts'
import { durationMs } from '../../src/cli/arguments/options.ts'
import { runResource } from '../../src/cli/resources/command.ts'
import { readList } from '../../src/cli/resources/find.ts'
import { renderTable } from '../../src/cli/resources/print.ts'
import { resources } from '../../src/cli/resources/table.ts'
import { connect, type Server } from '../../src/cli/server.ts'
import { adminToken, build, createReceiver, keys, type Running, scratchDir } from '../helper.ts'
import { flatline } from './run.ts'

type Row = Record<string, unknown>

suite('commands on a running service', () => {
  let running: Running
  let keyFile: string
  let tokenFile: string

  const closing: (() => unknown)[] = []
  const scope = { after: (work: () => unknown) => closing.unshift(work) } as never

  before(async () => {
    running = await build(scope)
    const dir = await scratchDir(scope)
    keyFile = join(dir, 'key')
    tokenFile = join(dir, 'token')
    await writeFile(keyFile, `${keys.api_key}\n`)
    await writeFile(tokenFile, adminToken)
  })
  after(async () => {
    for (const work of closing) await work()
  })

  async function call(...words: string[]) {
    const [name = '', ...args] = words
    const outcome = { status: -1, out: '', err: '' }
    const file = resources[name]?.credential === 'operator' ? tokenFile : keyFile
    const access = args.includes('--server') ? [] : ['--server', running.url, '--key-file', file]
    outcome.status = await runResource(name, [...args, ...access], {
      out: (text) => (outcome.out += text),
      err: (text) => (outcome.err += text),
      colours: false,
    })
    return outcome
  }

  async function read(...words: string[]): Promise<Row> {
    const { status, out, err } = await call(...words, '--json')
    assert.deepEqual([status, err], [0, ''], words.join(' '))
    return JSON.parse(out)
  }

  test('a check is created, listed, changed, paused, resumed and deleted by its name', async () => {
    const made = await read(
      ...['checks', 'create', '--name', 'nightly backup', '--slug', 'nightly', '--tags', 'db prod'],
      ...['--timeout', '1d', '--grace', '1h30m', '--max_runtime=600', '--track-runs', '--severity', 'critical'],
    )
    assert.deepEqual(
      [made.timeout, made.grace, made.max_runtime, made.track_runs, made.severity],
      [86_400, 5400, 600, true, 'critical'],
    )
    await read('checks', 'create', '--name', 'cron', '--schedule', '15 3 * * *', '--tz', 'Europe/Riga')
    const listed = (await call('checks', 'list')).out.split('\n')
    assert.match(listed[0] ?? '', /^NAME +STATUS +SCHEDULE +TIMEOUT +GRACE +TAGS +UUID$/)
    assert.match(listed.find((line) => line.startsWith('nightly')) ?? '', / new +1d +1h30m +db prod +[0-9a-f-]{36}$/)
    const starts = listed.slice(0, 3).map((line) => line.search(/[0-9a-f-]{36}$|UUID$/))
    assert.equal(new Set(starts).size, 1, 'columns are aligned')

    const changed = await read('checks', 'update', 'nightly', '--max-runtime', 'null', '--no-track-runs')
    assert.deepEqual([changed.max_runtime, changed.track_runs, changed.grace], [undefined, false, 5400])
    assert.equal((await read('checks', 'pause', 'nightly backup')).status, 'paused')
    const paused = (await read('checks', 'list', '--status', 'paused,down', '--tag', 'db')).checks as Row[]
    assert.deepEqual(
      paused.map(({ name }) => name),
      ['nightly backup'],
    )
    assert.deepEqual(await read('checks', 'list', '--status', 'paused', '--tag', 'other'), { checks: [] })
    assert.equal((await read('checks', 'resume', 'nightly')).status, 'new')
    await running.call('GET', `/ping/${made.uuid}/fail`)
    assert.match((await call('checks', 'show', 'nightly')).out, /^status +down$/m)
    assert.match((await call('checks', 'pings', 'nightly')).out, /^N +KIND +AT.*\n1 +fail /)
    assert.match((await call('checks', 'flips', 'nightly', '--seconds', '1h')).out, /^AT +UP\n(\S+ +0\n){3}$/)
    assert.equal((await call('checks', 'delete', 'nightly')).out, 'deleted nightly\n')
    assert.equal((await call('checks', 'show', 'nightly')).status, 1)
  })

  test('lists are read page by page, and a name of several checks is refused with their uuids', async () => {
    const checks = Array.from({ length: 25 }, (_, index) => ({ slug: `page-${index}`, name: 'same', tags: 'paged' }))
    await running.call('POST', '/api/v3/definitions/', { checks })
    const pages: string[] = []
    const client = connect({ server: running.url, 'key-file': keyFile })
    const counting: Server = {
      ...client,
      get(path) {
        pages.push(path)
        return client.get(path)
      },
    }
    const list = { path: '/api/v3/checks/', list: 'checks', paged: true }
    const tagged = new URLSearchParams({ tag: 'paged' })
    const all = await readList(counting, list, tagged, undefined, 10)
    assert.equal(new Set(all.map(({ uuid }) => uuid)).size, 25)
    assert.deepEqual([pages.length, pages[0]], [3, '/api/v3/checks/?tag=paged&limit=10'])
    assert.equal((await readList(counting, list, tagged, 13, 10)).length, 13)
    assert.equal(((await read('checks', 'list', '--limit', '7')).checks as Row[]).length, 7)
    const { status, err } = await call('checks', 'pause', 'same')
    assert.equal(status, 1)
    assert.match(err, /^flatline checks: 25 checks have the name same: give the uuid of one \([0-9a-f-]{36}, .*…\)\n$/)
  })

  test('a channel is created from a file with its secret, tested, and deleted', async (t) => {
    const receiver = await createReceiver(t, ({ url }) => (url === '/broken' ? 400 : 200))
    const file = join(await scratchDir(t), 'settings.json')
    await writeFile(file, JSON.stringify({ url: `${receiver.url}/hook`, secret: 'not to be shown' }))
    const made = await call('channels', 'create', '--kind', 'webhook', '--name', 'hook', '--settings', `@${file}`)
    assert.equal(made.status, 0, made.err)
    assert.match((await call('channels', 'list')).out, /^NAME +KIND +ID\nhook +webhook +[0-9a-f-]{36}\n$/)
    const shown = await call('channels', 'show', 'hook')
    assert.ok(!shown.out.includes('not to be shown'))
    assert.deepEqual(await read('channels', 'test', 'hook'), { delivered: true, error: null })
    assert.equal(receiver.received[0]?.url, '/hook')
    await read('channels', 'update', 'hook', '--settings', JSON.stringify({ url: `${receiver.url}/broken` }))
    const failed = await call('channels', 'test', 'hook')
    assert.equal(failed.status, 1)
    assert.match(failed.out, /^delivered +false\nerror +\S/)
    assert.match((await call('deliveries', 'list', '--status', 'dead')).out, /^EVENT +STATUS/)
    assert.equal((await call('channels', 'delete', 'hook')).out, 'deleted hook\n')
  })

  test("projects, their keys and circuit breakers are managed with the operator's token", async () => {
    const { id, api_key: key } = await read('projects', 'create', '--name', 'payments')
    assert.match((await call('projects', 'list')).out, /^NAME +CREATED +ID\n(.*\n)*payments /)
    const quota = await read('projects', 'update', 'payments', '--quota', '{"checks": 7}')
    assert.equal((quota.quota as { checks: { limit: number } }).checks.limit, 7)
    const { api_key: next } = await read('projects', 'rotate-key', 'payments', '--kind', 'api_key')
    assert.notEqual(next, key)
    const kept = await call('projects', 'delete', 'payments')
    assert.deepEqual(
      [kept.status, kept.err],
      [2, 'flatline projects: this deletes a project with everything in it: add --yes\n'],
    )
    assert.equal((await call('projects', 'delete', String(id), '--yes')).status, 0)

    const { out } = await call('breakers', 'list')
    assert.match(out, /^NAME +STATE +FAILURES.*\n(.*\n)*database +closed +0/)
    assert.equal((await read('breakers', 'reset', 'database')).state, 'closed')
    assert.equal(
      (await call('breakers', 'reset', 'nobody')).err,
      'flatline breakers: circuit breaker not found (404 not_found)\n',
    )
    assert.ok(((await read('breakers', 'reset-all')).circuit_breakers as Row[]).length > 0)
  })

  test('a refusal of the API names the field and the rule, with --json as a document', async () => {
    const cases: [words: string[], status: number, problem: RegExp][] = [
      [['checks', 'create', '--timeout', '0'], 1, /^flatline checks: timeout is too small \(400\)\n$/],
      [['checks', 'create', '--severity', 'bad'], 1, /severity is not one of info, warning, critical \(400\)/],
      [['channels', 'create', '--kind', 'webhook'], 1, /name is required \(400 bad_request\)/],
      [['channels', 'create', '--name', 'x'], 2, /--kind is needed/],
      [['checks', 'show', '00000000-0000-0000-0000-000000000000'], 1, /not found \(404\)/],
      [['checks', 'show', 'nobody'], 1, /there is no check nobody: give its uuid, slug or name/],
      [['checks', 'list', '--server', 'http://127.0.0.1:1', '--key', 'k'], 3, /cannot reach http:\/\/127.0.0.1:1/],
      [['checks', 'list', '--server', 'ftp://x', '--key', 'k'], 3, /cannot reach/],
      [
        ['checks', 'list', '--server', running.url],
        1,
        /a read-write key is needed: --key, --key-file or BOOTSTRAP_API_KEY/,
      ],
      [['checks', 'list', '--server', running.url, '--key', 'x'.repeat(32)], 1, /wrong api key \(401\)/],
    ]
    for (const [words, status, problem] of cases) {
      const outcome = await call(...words)
      assert.equal(outcome.status, status, words.join(' '))
      assert.match(outcome.err, problem)
      assert.equal(outcome.out, '')
    }
    const { err } = await call('checks', 'create', '--timeout', '0', '--json')
    assert.deepEqual(JSON.parse(err), { error: 'timeout is too small', field: 'timeout', status: 400 })
  })

  test('wrong usage is refused with a hint, before anything is sent', async () => {
    const cases: [words: string[], problem: RegExp][] = [
      [['checks', 'lst'], /unknown command checks lst; did you mean list\?/],
      [['checks', 'create', '--timout', '5m'], /unknown option --timout; did you mean --timeout\?/],
      [['checks', 'create', '--colour', 'red'], /unknown option --colour \(flatline checks create --help lists them\)/],
      [['checks', 'create', '--timeout', 'soon'], /--timeout is not a duration: seconds, or such as 90s/],
      [['checks', 'create', '--timeout'], /--timeout needs a value/],
      [['checks', 'create', '--track-runs=yes'], /--track-runs takes no value/],
      [['checks', 'create', 'extra'], /usage: flatline checks create \[options\]/],
      [['checks', 'list', '--status', 'dwn'], /--status dwn is not one of new, up, grace, down, paused/],
      [['checks', 'pause'], /usage: flatline checks pause CHECK/],
      [['checks', 'update', 'a'], /nothing to change/],
      [['channels', 'create', '--kind', 'webhook', '--settings', '{'], /--settings is not JSON/],
      [['deliveries', 'list', '--constructor', 'x'], /unknown option --constructor/],
    ]
    for (const [words, problem] of cases) {
      const outcome = await call(...words)
      assert.deepEqual([outcome.status, outcome.out], [2, ''], words.join(' '))
      assert.match(outcome.err, problem)
    }
  })

  test('the program itself takes address and key from the configuration, and exits with the status', async () => {
    const env = { BOOTSTRAP_API_KEY: keys.api_key, SITE_URL: running.url }
    const { code, stdout, stderr } = await flatline(['checks', 'show', 'nobody', '--json'], '', env)
    assert.deepEqual([code, stdout], [1, ''])
    assert.deepEqual(JSON.parse(stderr), { error: 'there is no check nobody: give its uuid, slug or name' })
  })
})

test('every command has a help text with its options', async () => {
  for (const [name, { verbs }] of Object.entries(resources))
    for (const [word, verb] of Object.entries(verbs)) {
      let text = ''
      const status = await runResource(name, [word, '--help'], {
        out: (part) => (text += part),
        err() {},
        colours: false,
      })
      assert.equal(status, 0)
      assert.ok(text.startsWith(`usage: flatline ${name} ${word}`))
      for (const option of Object.keys({ ...verb.query, ...verb.body, ...verb.filters }))
        assert.match(text, new RegExp(`^  --${option}\\b.*\\S$`, 'm'))
      assert.match(text, /exit status {2}0 done/)
    }
})

test('durations and the nearest words', () => {
  const durations: [string, number | undefined][] = [
    ['90', 90_000],
    ['250ms', 250],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['2w', 1_209_600_000],
    ['', undefined],
    ['5 m', undefined],
    ['-5', undefined],
    ['1.5h', undefined],
    ['h', undefined],
  ]
  for (const [text, ms] of durations) assert.equal(durationMs(text, 's'), ms, text)
  const known = ['timeout', 'grace', 'tags', 'max-runtime']
  assert.deepEqual(
    ['timout', 'grase', 'max', 'zzz', 'x'.repeat(10_000)].map((word) => nearest(word, known)),
    ['timeout', 'grace', 'max-runtime', undefined, undefined],
  )
})

test('a name with control characters cannot command the terminal', () => {
  const table = renderTable([['name', 'name']], [{ name: 'evil\u001b[2Jname\nsecond\u009b31m' }], {
    out() {},
    err() {},
    colours: true,
  })
  assert.equal(table, 'NAME\nevil [2Jname second 31m\n')
})
