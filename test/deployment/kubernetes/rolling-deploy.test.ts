// scripts/deploy.sh against a cluster that is a program on PATH: which commands it gets, in which order, and what happens on failures.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { scratchDir } from '../../helper.ts'
import { type Ended, run } from '../../scenarios/command.ts'
import { needsTool } from '../../tools.ts'
import { standIn } from '../stand-in.ts'
import { type Cluster, kubectl, usual } from './cluster.ts'

const skip = needsTool('kubectl')
const root = join(import.meta.dirname, '../../..')
const newer = '/opt/flatline-test-tools/kubectl'
/** The real one, which renders. */
const renderer = existsSync(newer) ? newer : spawnSync('sh', ['-c', 'command -v kubectl']).stdout.toString().trim()

const manifests = `apiVersion: v1
kind: ConfigMap
metadata: {name: flatline-config}
data: {SITE_URL: https://flatline.corp.test}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: flatline, labels: {app.kubernetes.io/component: server}}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: flatline, app.kubernetes.io/component: server}}
  template:
    metadata: {labels: {app.kubernetes.io/name: flatline, app.kubernetes.io/component: server}}
    spec:
      containers:
        - name: flatline
          image: ghcr.io/flatline/flatline:0.1.0
          env:
            - {name: ADMIN_TOKEN, valueFrom: {secretKeyRef: {name: flatline-secrets, key: ADMIN_TOKEN}}}
            - {name: OLD, valueFrom: {secretKeyRef: {name: flatline-secrets, key: ADMIN_TOKEN_PREVIOUS, optional: true}}}
            - {name: ENCRYPTION_KEY, valueFrom: {secretKeyRef: {name: flatline-secrets, key: ENCRYPTION_KEY}}}
---
apiVersion: v1
kind: Service
metadata: {name: flatline, labels: {app.kubernetes.io/component: server}}
spec: {selector: {app.kubernetes.io/name: flatline, app.kubernetes.io/component: server}, ports: [{port: 80}]}
`

const text = '-- Flatline backup\nCOMMIT;\n'
const sum = createHash('sha256').update(text).digest('hex')
const backup = gzipSync(`${text}-- sha256: ${sum}\n`)
const secrets = { ADMIN_TOKEN: 'hidden-token', ENCRYPTION_KEY: 'hidden-key' }

const keys = ['METRICS_TOKEN', 'BOOTSTRAP_API_KEY', 'BOOTSTRAP_API_KEY_READONLY', 'BOOTSTRAP_PING_KEY']
const everySecret = { ...secrets, ...Object.fromEntries(keys.map((key) => [key, 'x'])) }

/** A checkout of its own with the scripts and an overlay, and the cluster. */
async function world(t: TestContext, changes: Partial<Cluster> = {}, manifest = manifests) {
  const dir = await scratchDir(t)
  await cp(join(root, 'scripts'), join(dir, 'scripts'), { recursive: true })
  await mkdir(join(dir, 'k8s/overlays/production'), { recursive: true })
  await writeFile(join(dir, 'k8s/overlays/production/all.yaml'), manifest)
  await writeFile(join(dir, 'k8s/overlays/production/kustomization.yaml'), 'resources: [all.yaml]\n')
  const cluster: Cluster = { ...structuredClone(usual), secret: secrets, ...structuredClone(changes) }
  cluster.backup = changes.backup ?? backup
  const told: string[] = []
  const answer = (args: string[]) => {
    const call = args.filter(
      (arg, index) => ![arg, args[index - 1]].some((one) => one === '--namespace' || one === '--context'),
    )
    told.push(call.join(' '))
    return kubectl(cluster, call)
  }
  const rendering = `if [ "$1" = kustomize ]; then exec ${renderer} "$@"; fi`
  const bin = await standIn(t, { program: 'kubectl', answer, first: rendering })
  const options = ['--environment', 'production', '--timeout', '9', '--soak', '0']
  const script = (...args: string[]) =>
    run(t, ['scripts/deploy.sh', 'k8s', ...args], { PATH: `${bin}:${process.env.PATH}` }, '', dir)
  return {
    dir,
    cluster,
    told,
    deploy: (...args: string[]): Promise<Ended> => script(...options, ...args),
    script,
    changed: () => told.filter((line) => changing.test(line) && !line.includes('--dry-run')),
    backups: () => readdir(join(dir, 'backups')).catch(() => []),
  }
}

const changing = /^(apply|create|patch|delete|rollout undo|scale|set|label|annotate|replace|edit)/

/** With the parts that differ from run to run left out. */
const shape = (lines: string[]) =>
  lines.map((line) =>
    line
      .replace(/--filename \S*?(green\/)?(\w+\.yaml)/, '$1$2')
      .replace(/-\d{14}/, '')
      .replaceAll(/ --(selector|from=)/g, '$&'),
  )

const image = ['--image', 'registry.test:5000/team/flatline:0.2.0']

test('a deployment backs up, migrates, replaces and verifies, in this order', { skip }, async (t) => {
  const { deploy, changed, told, cluster, backups } = await world(t)
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 0, err)
  assert.deepEqual(shape(changed()), [
    'apply rendered.yaml --selector app.kubernetes.io/component in (configuration, migration)',
    'create job flatline-migration --from=cronjob/flatline-migration',
    'apply rendered.yaml',
  ])
  const all = told
  const at = (part: string) => all.findIndex((line) => line.includes(part))
  const order = [
    'auth can-i',
    '--dry-run=server',
    'backup -',
    'in (configuration, migration)',
    'create job',
    'get job',
    'rollout status deployment/flatline --timeout=9s',
    'healthcheck',
  ]
  const places = order.map(at)
  assert.ok(!places.includes(-1))
  assert.deepEqual(
    places,
    [...places].sort((a, b) => a - b),
  )
  const { applied } = cluster
  for (const { manifest } of applied) assert.match(manifest, /image: registry\.test:5000\/team\/flatline:0\.2\.0\n/)
  assert.deepEqual(all.filter((line) => line.endsWith('healthcheck')).length, 3)
  assert.match(err, /version 0\.2\.0 serves/)
  assert.match((await backups()).join(), /^flatline-before-\d{8}T\d{6}Z\.gz$/)
})

test('a roll-out that fails is rolled back to the previous revision', { skip }, async (t) => {
  for (const broken of [{ broken: ['0.2.0'] }, { unready: ['0.2.0'] }]) {
    const { deploy, changed, cluster } = await world(t, broken)
    const { code, err } = await deploy('deploy', ...image)
    assert.equal(code, 6, err)
    assert.deepEqual(changed().slice(-1), ['rollout undo deployment/flatline --to-revision=7'])
    assert.equal(cluster.blue, '0.1.0')
    assert.match(err, /the previous version serves again/)
  }
})

test('a version other than the expected one counts as unhealthy', { skip }, async (t) => {
  const { deploy, changed } = await world(t)
  const { code, err } = await deploy('deploy', ...image, '--expect-version', '0.3.0')
  assert.equal(code, 6, err)
  assert.match(err, /blue-1 runs version 0\.2\.0, not 0\.3\.0/)
  assert.deepEqual(changed().slice(-1), ['rollout undo deployment/flatline --to-revision=7'])
})

test('a variant of production is deployed to the namespace of its kustomization', { skip }, async (t) => {
  const { dir, deploy, cluster } = await world(t)
  await mkdir(join(dir, 'k8s/overlays/loadbalancer'))
  await cp(join(dir, 'k8s/overlays/production'), join(dir, 'k8s/overlays/loadbalancer'), { recursive: true })
  await appendFile(join(dir, 'k8s/overlays/loadbalancer/kustomization.yaml'), 'namespace: flatline-production\n')
  const { code, err } = await deploy('preflight', '--environment', 'loadbalancer')
  assert.equal(code, 0, err)
  assert.match(err, /namespace flatline-production,/)
  assert.deepEqual(cluster.applied, [])
})

test('the script says when a rollback is impossible', { skip }, async (t) => {
  const first = await world(t, { runs: false, broken: ['0.2.0'] })
  const fresh = await first.deploy('deploy', ...image)
  assert.equal(fresh.code, 7, fresh.err)
  assert.match(fresh.err, /this was the first deployment/)
  assert.deepEqual(shape(first.changed()), ['apply rendered.yaml'], 'nothing to back up or to migrate')

  const stuck = await world(t, { broken: ['0.2.0'], undoes: false })
  const { code, err } = await stuck.deploy('deploy', ...image)
  assert.equal(code, 7)
  assert.match(err, /no way back by itself/)
})

test('a failed migration stops the deployment before any server is replaced', { skip }, async (t) => {
  const { deploy, changed } = await world(t, { job: 'Failed' })
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 5)
  assert.match(err, /the log of the job/)
  assert.deepEqual(shape(changed()), [
    'apply rendered.yaml --selector app.kubernetes.io/component in (configuration, migration)',
    'create job flatline-migration --from=cronjob/flatline-migration',
  ])
})

test('without a complete backup nothing is changed', { skip }, async (t) => {
  for (const broken of [Buffer.of(), gzipSync(`${text}-- sha256: ${'0'.repeat(64)}\n`)]) {
    const { deploy, changed, backups } = await world(t, { backup: broken })
    const { code, err } = await deploy('deploy', ...image)
    assert.equal(code, 4, err)
    assert.deepEqual(changed(), [])
    assert.deepEqual(await backups(), [])
  }
  const { deploy, told } = await world(t, { backup: Buffer.of() })
  assert.equal((await deploy('deploy', ...image, '--skip-backup', '--skip-migrate')).code, 0)
  assert.ok(!told.some((line) => line.includes('backup') || line.includes('job')))
})

test('the preflight finds later failures, shows no secret and changes nothing', { skip }, async (t) => {
  const placeholder = { ...secrets, ADMIN_TOKEN: 'change-me: openssl rand -hex 32' }
  const examples = manifests.replace('corp.test', 'example.com')
  // All at once, as far as one does not hide another.
  const several = [
    /flatline:latest may be another tomorrow/,
    /still has examples: SITE_URL: https:\/\/flatline\.example\.com/,
    /lacks ENCRYPTION_KEY\n/,
    /would not take the manifests: error: admission denied/,
    /a blue-green deployment was broken off/,
  ]
  const broken = { secret: { ADMIN_TOKEN: 'hidden-token' }, accepts: false, frozenOn: 'abc' }
  const cases: [reasons: RegExp[], changes: Partial<Cluster>, args?: string[], manifest?: string][] = [
    [[/may not deploy to flatline-production/], { allowed: false }],
    [several, broken, ['--image', 'registry.test/flatline:latest'], examples],
    [
      [/still holds an example/, /5000\/flatline may be another/],
      { secret: placeholder },
      ['--image', 'registry.test:5000/flatline'],
    ],
  ]
  for (const [reasons, changes, args = image, manifest] of cases) {
    const { deploy, changed } = await world(t, changes, manifest)
    const { code, err } = await deploy('deploy', ...args)
    assert.equal(code, 3, err)
    for (const reason of reasons) assert.match(err, reason)
    assert.deepEqual(changed(), [])
    assert.ok(!err.includes('hidden') && !err.includes('openssl'))
  }
  const { deploy, changed } = await world(t)
  const { code, err } = await deploy('preflight')
  assert.equal(code, 0, err)
  assert.match(err, /image ghcr\.io\/flatline\/flatline:0\.1\.0/)
  assert.deepEqual(changed(), [])
})

test('a dry run reports what would be done and changes nothing', { skip }, async (t) => {
  for (const strategy of ['rolling', 'blue-green']) {
    const { deploy, changed, backups } = await world(t)
    const { code, err } = await deploy('deploy', ...image, '--dry-run', '--strategy', strategy)
    assert.equal(code, 0, err)
    assert.deepEqual(changed(), [])
    assert.deepEqual(await backups(), [])
    assert.match(err, /would write backups\/flatline-before-/)
    assert.match(err, /would run: kubectl --namespace flatline-production create job flatline-migration-\d+ --from=/)
    assert.match(
      err,
      /would run: kubectl --namespace flatline-production rollout status deployment\/flatline --timeout=9s/,
    )
  }
  const { deploy, changed } = await world(t)
  const { code, err } = await deploy('rollback', '--to', '5', '--dry-run')
  assert.equal(code, 0, err)
  assert.match(
    err,
    /would run: kubectl --namespace flatline-production rollout undo deployment\/flatline --to-revision=5/,
  )
  assert.deepEqual(changed(), [])
})

test('without --timeout a roll-out has 300 s', { skip }, async (t) => {
  const { script } = await world(t)
  const { code, err } = await script('deploy', ...image, '--environment', 'production', '--dry-run')
  assert.equal(code, 0, err)
  assert.match(err, / rollout status deployment\/flatline --timeout=300s\n/)
})

test('verify tries a heartbeat and an alert in one pod', { skip }, async (t) => {
  const { deploy, told, cluster, changed } = await world(t)
  const { code, err, out } = await deploy('verify')
  assert.equal(code, 0, err)
  assert.equal(String(out), 'passed\n')
  assert.ok(told.includes('exec deployment/flatline --container flatline -- node dist/cli.js verify'))
  cluster.works = false
  assert.equal((await deploy('verify')).code, 6)
  assert.deepEqual(changed(), [])
})

test('a manual rollback uses the previous revision, or the one that is named', { skip }, async (t) => {
  for (const [args, told] of [
    [[], 'rollout undo deployment/flatline'],
    [['--to', '5'], 'rollout undo deployment/flatline --to-revision=5'],
  ] as const) {
    const { deploy, changed } = await world(t)
    const { code, err } = await deploy('rollback', ...args)
    assert.equal(code, 0, err)
    assert.deepEqual(changed(), [told])
  }
})

test('blue-green: all traffic switches at once, and the result equals the manifests', {
  skip,
}, async (t) => {
  const { deploy, changed, cluster } = await world(t)
  const { code, err } = await deploy('deploy', ...image, '--strategy', 'blue-green', '--skip-migrate')
  assert.equal(code, 0, err)
  const freeze = (hash: string) =>
    `patch service flatline --type=json --patch [{"op": "add", "path": "/spec/selector/pod-template-hash", "value": "${hash}"}]`
  assert.deepEqual(shape(changed()), [
    freeze('hash-blue'),
    'apply green/rendered.yaml --selector app.kubernetes.io/instance=green',
    freeze('hash-green'),
    'apply rendered.yaml',
    'patch service flatline --type=json --patch [{"op": "remove", "path": "/spec/selector/pod-template-hash"}]',
    'delete deployment flatline-green',
  ])
  const { applied, blue, green, frozenOn } = cluster
  assert.deepEqual([blue, green, frozenOn], ['0.2.0', '', ''])
  const deployment = applied[0]?.manifest.split('---').find((document) => document.includes('kind: Deployment')) ?? ''
  assert.match(deployment, /\n {2}name: flatline-green\n/)
  assert.match(deployment, /\n {2}replicas: 3\n/)
  assert.equal(deployment.match(/app\.kubernetes\.io\/instance: green/g)?.length, 3)
})

test('blue-green: a green version that does not get healthy never gets traffic and is removed', { skip }, async (t) => {
  for (const broken of [{ broken: ['0.2.0'] }, { unready: ['0.2.0'] }]) {
    const { deploy, changed, cluster } = await world(t, broken)
    const { code, err } = await deploy('deploy', ...image, '--strategy', 'blue-green', '--skip-migrate')
    assert.equal(code, 6, err)
    const { blue, green, frozenOn } = cluster
    assert.deepEqual([blue, green, frozenOn], ['0.1.0', '', ''])
    assert.ok(!changed().some((line) => line.includes('hash-green')))
  }
})

test('the overlays have the form that the script assumes', { skip }, async (t) => {
  for (const environment of ['staging', 'production']) {
    const { dir, deploy, cluster, told } = await world(t, { secret: everySecret })
    for (const part of ['k8s', 'monitoring']) await cp(join(root, part), join(dir, part), { recursive: true })
    for (const path of await readdir(join(dir, 'k8s/overlays', environment))) {
      const file = join(dir, 'k8s/overlays', environment, path)
      await writeFile(file, (await readFile(file, 'utf8')).replaceAll('example.com', 'corp.test'))
    }
    const { code, err } = await deploy('deploy', ...image, '--strategy', 'blue-green', '--environment', environment)
    assert.equal(code, 0, err)
    assert.match(err, /WARNING: .* flatline-alerting lacks pagerduty-routing-key slack-webhook-url watchdog-ping-url\n/)
    assert.ok(told.some((line) => line.includes('--from=cronjob/flatline-migration')))
    const { applied } = cluster
    const documents = applied.flatMap(({ manifest }) => manifest.split(/^---$/m))
    const named = (kind: string, name: string) =>
      documents.filter((one) => one.includes(`\nkind: ${kind}\n`) && new RegExp(`^  name: ${name}$`, 'm').test(one))
    for (const [kind, name] of [
      ['Deployment', 'flatline'],
      ['Deployment', 'flatline-green'],
      ['CronJob', 'flatline-migration'],
    ] as const) {
      const found = named(kind, name)
      assert.ok(found.length > 0, `${kind} ${name} in ${environment}`)
      for (const one of found) assert.match(one, / image: registry\.test:5000\/team\/flatline:0\.2\.0\n/)
    }
  }
})

test('invalid arguments are refused with status 2', { skip }, async (t) => {
  const { deploy, changed, dir } = await world(t)
  for (const [args, reason] of [
    [['explode'], /name a command/],
    [['deploy', '--forse'], /unknown option --forse/],
    [['deploy', '--strategy', 'canary'], /--strategy is rolling or blue-green/],
    [['deploy', 'now'], /unexpected now/],
    [['build'], /build needs --image/],
  ] as const) {
    const { code, err } = await deploy(...args)
    assert.equal(code, 2, err)
    assert.match(err, reason)
  }
  for (const args of [
    [],
    ['k8s', 'deploy'],
    ['podman', 'deploy'],
    ['k8s', 'deploy', '--environment', 'nowhere'],
  ] as string[][])
    assert.equal((await run(t, ['scripts/deploy.sh', ...args], {}, '', dir)).code, 2, args.join(' '))
  assert.deepEqual(changed(), [])
})
