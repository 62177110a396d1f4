import { spawnSync } from 'node:child_process'

/**
 * For a test that needs a program which npm cannot bring: pass the result as the test's `skip`. Where it is missing, or older than
 * `atLeast` (major and minor), the test is reported as skipped, with the reason; in CI, which installs it, that is a failure.
 */
export function needsTool(name: string, atLeast?: readonly [major: number, minor: number]): string | false {
  const { error, stdout, stderr } = spawnSync(name, ['--version'], { encoding: 'utf8' })
  const problem = error ? 'is not installed' : atLeast && olderThan(atLeast, stdout + stderr)
  if (!problem) return false
  if (process.env.CI) throw new Error(`${name} ${problem}: .ci/run must install it`)
  return `${name} ${problem} (.ci/packages installs it from Debian)`
}

function olderThan([major, minor]: readonly [number, number], text: string): string | undefined {
  const found = /(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number) ?? [0, 0]
  const [foundMajor = 0, foundMinor = 0] = found
  const isOlder = foundMajor < major || (foundMajor === major && foundMinor < minor)
  return isOlder ? `is ${found.join('.')}, older than ${major}.${minor}` : undefined
}

/** What a process that a test starts gets of this one's environment: where programs are, and what Node has compiled already. */
export const inherited = { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }
