import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { alertmanager } from '../../../../src/channels/transports/incidents/alertmanager.ts'
import { eventually, scratchDir } from '../../../helper.ts'
import { createWorld } from '../../../notifications/world.ts'
import { needsTool } from '../../../tools.ts'
import {
  answersMean,
  asks,
  assertWhole,
  changed,
  contextWith,
  down,
  fakeDestination,
  huge,
  hugeBody,
  incident,
  json,
  type Subject,
  up,
} from '../contract.ts'

const subject: Subject = {
  transport: alertmanager,
  settings: (url) => ({ url }),
  taken: {},
}

suite('alertmanager', () => {
  test('alertmanager: an outage is an alert that lasts until its recovery', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/api/v2/alerts')
    const [{ labels, annotations, startsAt, endsAt, generatorURL }] = json(asked)
    assert.deepEqual(labels, {
      alertname: 'FlatlineCheckDown',
      severity: 'critical',
      check: 'nightly backup',
      incident,
    })
    assert.deepEqual(
      [annotations.summary, annotations.check, annotations.tags],
      ['nightly backup is down', 'nightly backup', 'prod db'],
    )
    assert.match(annotations.description, /exit status 3.*disk full/s)
    assert.deepEqual([startsAt, endsAt], ['2026-11-22T21:10:00.123Z', '2026-12-22T21:10:00.123Z'])
    assert.equal(generatorURL, 'https://flatline.example/api/v3/checks/1b6a8d0e')
    const [recovery] = json(await asks(t, subject, up))
    assert.deepEqual([recovery.labels, recovery.endsAt], [labels, '2026-11-22T22:14:00.000Z'])
  })

  test('alertmanager: alerts are routed and inhibited by check and project, also after a rename', async (t) => {
    const [{ labels }] = json(await asks(t, subject, { ...down, project: 'acme' }))
    assert.deepEqual([labels.check, labels.project], ['nightly backup', 'acme'])
    const stranger = { ...labels, incident: 'another' }
    const { url, asked } = await fakeDestination(t, ({ method }) =>
      method === 'GET' ? { body: [{ labels }, { labels: stranger }, {}] } : {},
    )
    const renamed = { ...up, project: 'acme', check: changed(up.check, { name: 'weekly backup' }) }
    assert.equal(await alertmanager.send(renamed, { url }, contextWith()), 'sent')
    assert.equal(new URL(url + asked[0]?.url).searchParams.get('filter'), `incident="${incident}"`)
    const ended = json(asked) as { labels: object; endsAt: string }[]
    assert.deepEqual(
      ended.map((one) => one.labels),
      [{ ...labels, check: 'weekly backup' }, labels],
    )
    assert.deepEqual(new Set(ended.map(({ endsAt }) => endsAt)), new Set(['2026-11-22T22:14:00.000Z']))
  })

  test('alertmanager: the project label is the project of the check', async (t) => {
    const { url, asked } = await fakeDestination(t)
    const world = await createWorld(t)
    const replica = await world.replica()
    const checkId = await world.check(replica, [await world.channel(replica, 'alertmanager', { url })])
    await world.flips(checkId, ['down'])
    await replica.turn()
    const [{ labels }] = json(asked)
    assert.deepEqual([labels.check, labels.project], ['nightly', 'test'])
  })

  test('alertmanager: a recovery is sent even if the lookup of active alerts fails', async (t) => {
    for (const reply of [{ status: 404 }, { status: 500 }, { body: '<html>' }, { body: {} }, { body: [null] }]) {
      const { url, asked } = await fakeDestination(t, ({ method }) => (method === 'GET' ? reply : {}))
      assert.equal(await alertmanager.send(up, { url }, contextWith()), 'sent')
      assert.equal(json(asked).length, 1)
    }
  })

  test('alertmanager: settings add labels and a login', async (t) => {
    const own = { severity: 'page', labels: { team: 'db' }, user: 'me', password: 'pw' }
    const asked = await asks(t, subject, down, own)
    assert.deepEqual(json(asked)[0].labels, {
      alertname: 'FlatlineCheckDown',
      severity: 'page',
      check: 'nightly backup',
      team: 'db',
      incident,
    })
    assert.equal(asked[0]?.headers.authorization, `Basic ${Buffer.from('me:pw').toString('base64')}`)
    const bearer = await asks(t, subject, down, { token: 'abc' })
    assert.equal(bearer[0]?.headers.authorization, 'Bearer abc')
    const field = (settings: object) => alertmanager.problem?.({ url: 'http://a.example', ...settings } as never)?.field
    assert.equal(field({ user: 'me' }), 'password')
    assert.equal(field({ user: 'me', password: 'pw', token: 'x' }), 'token')
  })

  test('alertmanager: the description is bounded', async (t) => {
    for (const own of [{}, hugeBody]) {
      const [{ annotations }] = json(await asks(t, subject, huge, own))
      assert.ok(annotations.description.length <= 20_000)
      assertWhole(annotations.description)
    }
  })

  test('alertmanager: the real one keeps the alert firing, and resolves it with the recovery', {
    skip: needsTool('prometheus-alertmanager'),
  }, async (t) => {
    const dir = await scratchDir(t)
    const port = await freePort()
    await writeFile(join(dir, 'alertmanager.yml'), 'route: {receiver: nobody}\nreceivers: [{name: nobody}]\n')
    const args = [
      `--config.file=${join(dir, 'alertmanager.yml')}`,
      `--storage.path=${dir}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
    ]
    const child = spawn('prometheus-alertmanager', args, { stdio: 'ignore' })
    t.after(() => child.kill('SIGKILL'))
    const url = `http://127.0.0.1:${port}`
    await eventually('alertmanager', async () => (await fetch(`${url}/-/ready`)).ok)

    const at = new Date(Date.now() - 60_000).toISOString()
    const outage = { ...down, flip: { ...down.flip, at } }
    assert.equal(await alertmanager.send(outage, { url }, contextWith()), 'sent')
    const firing = await eventually('the alert', async () => {
      const alerts = (await (await fetch(`${url}/api/v2/alerts`)).json()) as {
        labels: Record<string, string>
        status: { state: string }
        endsAt: string
      }[]
      return alerts[0]
    })
    const { check, ...labels } = firing.labels
    assert.deepEqual(labels, { alertname: 'FlatlineCheckDown', severity: 'critical', incident })
    assert.ok(check)
    assert.ok(Date.parse(firing.endsAt) > Date.now() + 86_400_000, 'without an end it would resolve itself')

    const recovery = { ...up, flip: { ...up.flip, at: new Date(Date.now() - 1000).toISOString() } }
    assert.equal(await alertmanager.send(recovery, { url }, contextWith()), 'sent')
    await eventually(
      'the end of it',
      async () => ((await (await fetch(`${url}/api/v2/alerts`)).json()) as object[]).length === 0,
    )
  })
})

answersMean(subject, [
  [
    { status: 400, body: '"bad labels"' },
    { retryable: false, says: /bad labels/ },
  ],
  [{ status: 404 }, {}],
])

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
