// Clocks that can be set while processes run: faketime's library reads their offset from a file. The monotonic clock
// is unaffected, as on a machine whose administrator, or ntpd, sets the time.

import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { directory } from '../database/fixtures/embedded.ts'
import { pause } from '../patience.ts'
import type { Scope } from './scope.ts'

/** A jump may end in a day for which nobody has made a partition, but not so far away that history is old enough to go. */
const furthestS = 2 * 86_400
/** The library looks at its file once in a second. */
const seenWithinMs = 1200

/** Environments for services and for a PostgreSQL: two machines, whose clocks may be right or wrong together or each on its own. */
export async function createClocks(scope: Scope) {
  const dir = await directory(scope)
  const files = { services: join(dir, 'services'), postgres: join(dir, 'postgres') }
  const preload = execFileSync('faketime', ['-m', '-f', '+0s', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).trim()
  const library = { LD_PRELOAD: preload, FAKETIME_DONT_FAKE_MONOTONIC: '1', FAKETIME_CACHE_DURATION: '1' }
  const set = async (file: string, seconds: number) => writeFile(file, `${seconds < 0 ? '' : '+'}${seconds}\n`)
  for (const file of Object.values(files)) await set(file, 0)

  return {
    env: { ...library, FAKETIME_TIMESTAMP_FILE: files.services },
    postgresEnv: { ...library, FAKETIME_TIMESTAMP_FILE: files.postgres },

    /** Sets one of the clocks, or both; resolves once it has been seen. */
    async jump(): Promise<void> {
      const seconds = randomInt(2) === 0 ? randomInt(-30, 30) : randomInt(-furthestS, furthestS)
      const which = randomInt(3)
      if (which !== 0) await set(files.postgres, seconds)
      if (which !== 1) await set(files.services, seconds)
      await pause(seenWithinMs)
    },
  }
}
