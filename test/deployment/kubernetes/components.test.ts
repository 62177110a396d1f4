// What operators change in the manifests: another ingress controller, secrets from a vault. The tests apply the steps
// of k8s/README.md to a copy.

import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { transports } from '../../../src/channels/transports.ts'
import { readProvisionFile } from '../../../src/provisioning/file.ts'
import { readProjects } from '../../../src/provisioning/schema.ts'
import { scratchDir } from '../../helper.ts'
import { checkModels, checkTypes } from '../models.ts'
import { find, type Manifest, manifests, type Node, nameOf, ofKind, render, rendering, workloads } from './kustomize.ts'

test(
  'behind Traefik a middleware limits the API, and the network policy admits that controller',
  rendering,
  async (t) => {
    const documents = await changed(t, (text) => text.replace('components/haproxy', 'components/traefik'))
    await assertSound(documents)
    const [api, heartbeats] = ofKind(documents, 'Ingress')
    const middlewares = 'traefik.ingress.kubernetes.io/router.middlewares'
    const middleware = find(documents, 'Middleware', 'flatline-rate-limit')
    assert.equal(
      api?.metadata.annotations?.[middlewares],
      `${middleware.metadata.namespace}-${middleware.metadata.name}@kubernetescrd`,
    )
    assert.equal(heartbeats?.metadata.annotations?.[middlewares], undefined)
    assert.deepEqual([api?.spec.ingressClassName, heartbeats?.spec.ingressClassName], ['traefik', 'traefik'])
    assert.deepEqual(
      annotationsOf(documents).filter((key) => key.startsWith('haproxy')),
      [],
    )
    for (const policy of ['flatline-from-ingress', 'acme-solver-from-ingress']) {
      const [{ from }] = find(documents, 'NetworkPolicy', policy).spec.ingress
      assert.deepEqual(from, [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'traefik' } } }])
    }
  },
)

test('the secrets from a vault are those that the pods need', rendering, async (t) => {
  const documents = await changed(t, (text) =>
    text.replace('# - ../../components/external', '- ../../components/external'),
  )
  await assertSound(documents)
  const { spec } = find(documents, 'ExternalSecret', 'flatline-secrets')
  const fetched = spec.data.map(({ secretKey }: Node) => secretKey)
  assert.deepEqual(fetched.toSorted(), askedFor(documents, spec.target.name).toSorted())
})

test('a provisioning file is mounted with its secrets, and the service accepts it', rendering, async (t) => {
  const documents = await changed(t, (text) => text.replace('# - ../../components/prov', '- ../../components/prov'))
  await assertSound(documents)
  const { spec } = find(documents, 'Deployment', 'flatline').spec.template
  const [container] = spec.containers
  const file = container.env.find(({ name }: Node) => name === 'PROVISION_FILE').value
  const mounted = (path: string) => {
    const mount = container.volumeMounts.find(({ mountPath }: Node) => path.startsWith(`${mountPath}/`))
    return spec.volumes.find(({ name }: Node) => name === mount.name)
  }
  const text = find(documents, 'ConfigMap', mounted(file).configMap.name).data?.['provision.yaml'] ?? ''
  const [, secret = ''] = /\{ file: (\S+) \}/.exec(text) ?? []
  assert.equal(mounted(secret).secret.secretName, 'flatline-provisioning')

  const dir = await scratchDir(t)
  await writeFile(join(dir, 'secret'), 'https://hooks.slack.com/services/x')
  await writeFile(join(dir, 'provision.yaml'), text.replace(secret, join(dir, 'secret')))
  const read = { transports, capabilities: { smtp: null, shell: false }, bootstrap: {} }
  const [project] = readProjects(readProvisionFile(join(dir, 'provision.yaml')), read)
  assert.deepEqual([project?.name, project?.channels.length], ['default', 1])
})

test('one line changes the site, the certificate and the image', rendering, async (t) => {
  const documents = await changed(t, (text) =>
    text
      .replace('SITE_URL=https://flatline.example.com', 'SITE_URL=https://beats.acme.test')
      .replace('newTag: 0.1.0', 'newName: registry.acme.test/flatline\n    newTag: 9.8.7'),
  )
  await assertSound(documents)
  for (const { spec } of ofKind(documents, 'Ingress')) {
    assert.deepEqual([spec.rules[0].host, spec.tls[0].hosts], ['beats.acme.test', ['beats.acme.test']])
  }
  const images = workloads(documents).flatMap(({ pod }) => pod.containers.map(({ image }: Node) => image))
  assert.deepEqual(images, ['registry.acme.test/flatline:9.8.7', 'registry.acme.test/flatline:9.8.7'])
})

test('a changed configuration value rolls the pods out', rendering, async (t) => {
  const before = configMapOf(render(join(manifests, 'overlays/production')))
  const after = configMapOf(await changed(t, (text) => text.replace('SITE_URL=', 'LOG_LEVEL=debug\n      - SITE_URL=')))
  assert.notEqual(before, after)
})

/** The overlay of production with its kustomization changed. */
async function changed(t: TestContext, change: (text: string) => string): Promise<Manifest[]> {
  const root = await scratchDir(t)
  const copy = join(root, 'k8s')
  await cp(manifests, copy, { recursive: true })
  // The dashboards are resources of the overlay.
  await cp(join(manifests, '../monitoring'), join(root, 'monitoring'), { recursive: true })
  const path = join(copy, 'overlays/production/kustomization.yaml')
  const text = await readFile(path, 'utf8')
  assert.notEqual(change(text), text, 'nothing was changed')
  await writeFile(path, change(text))
  return render(join(copy, 'overlays/production'))
}

async function assertSound(documents: Manifest[]): Promise<void> {
  const findings = [...(await checkModels(documents)), ...checkTypes(documents)]
  assert.deepEqual(
    findings.map(([index, problems]) => [nameOf(documents[index]!), problems]),
    [],
  )
}

function askedFor(documents: Manifest[], secret: string): string[] {
  const keys = workloads(documents).flatMap(({ pod }) =>
    pod.containers[0].env.flatMap(({ valueFrom }: Node) => {
      const { name, key, optional } = valueFrom?.secretKeyRef ?? {}
      return name === secret && !optional ? [key] : []
    }),
  )
  return [...new Set(keys)]
}

function annotationsOf(documents: Manifest[]): string[] {
  return documents.flatMap(({ metadata }) => Object.keys(metadata.annotations ?? {}))
}

function configMapOf(documents: Manifest[]): string {
  return find(documents, 'Deployment', 'flatline').spec.template.spec.containers[0].envFrom[0].configMapRef.name
}
