import assert from 'node:assert/strict'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDir } from '../../helper.ts'
import { run } from '../../scenarios/command.ts'

const script = join(import.meta.dirname, '../../../scripts/scan-image.sh')

test('the image scan fails by severity, says when it did not scan, and knows both scanners', async (t) => {
  const dir = await scratchDir(t)
  const sbom = join(dir, 'sbom.cdx.json')
  await writeFile(sbom, '{}')
  /** A directory with nothing but this scanner, which prints its arguments and ends with this status. */
  const withScanner = async (name: string, status: number) => {
    const bin = join(dir, `${name}-${status}`)
    await mkdir(bin, { recursive: true })
    await writeFile(join(bin, name), `#!/bin/sh\necho "$@"\nexit ${status}\n`)
    await chmod(join(bin, name), 0o755)
    return { PATH: `${bin}:/usr/bin:/bin` }
  }
  const scan = async (env: Record<string, string>, ...args: string[]) => {
    const { code, out, err } = await run(t, ['/bin/bash', script, ...args], env)
    return { code, out: out.toString().trim(), err }
  }

  const trivy = await scan(await withScanner('trivy', 0), 'flatline:1')
  assert.deepEqual(
    [trivy.code, trivy.out],
    [0, 'image --exit-code 3 --severity HIGH,CRITICAL --ignore-unfixed flatline:1'],
  )
  const found = await scan(await withScanner('trivy', 3), '--severity', 'critical', '--unfixed', sbom)
  assert.deepEqual([found.code, found.out], [1, `sbom --exit-code 3 --severity CRITICAL ${sbom}`])
  assert.match(found.err, /VULNERABLE/)
  const broken = await scan(await withScanner('trivy', 1), 'flatline:1')
  assert.equal(broken.code, 2, 'a scanner that fails has found nothing, which is no success')

  const grype = await scan(await withScanner('grype', 0), sbom)
  assert.deepEqual([grype.code, grype.out], [0, `sbom:${sbom} --fail-on high --only-fixed`])
  assert.equal((await scan(await withScanner('grype', 2), 'flatline:1')).code, 1)
  assert.equal((await scan(await withScanner('grype', 1), 'flatline:1')).code, 2)

  const none = { PATH: '/usr/bin:/bin' }
  const skipped = await scan(none, '--scanner', 'trivy', 'flatline:1')
  assert.deepEqual([skipped.code, /SKIPPED: flatline:1 WAS NOT SCANNED/.test(skipped.err)], [0, true])
  assert.equal((await scan(none, '--require', '--scanner', 'trivy', 'flatline:1')).code, 2)
  assert.equal((await scan(none, '--severity', 'some', 'flatline:1')).code, 2)
})
