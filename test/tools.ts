import { spawnSync } from 'node:child_process'

/**
 * For a test that needs a program which npm cannot bring: pass the result as the test's `skip`. Where it is missing the test is reported as
 * skipped, with the reason; in CI, which installs it, that is a failure.
 */
export function needsTool(name: string): string | false {
  const found = spawnSync(name, ['--version']).error === undefined
  if (found) return false
  if (process.env.CI) throw new Error(`${name} is not installed: .ci/run must install it`)
  return `${name} is not installed (Debian: apt-get install ${name})`
}
