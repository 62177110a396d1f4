// `flatline config`: the effective configuration without secrets.

import { resolveConfig } from '../config/load.ts'
import { renderConfig, reportConfig } from '../config/report.ts'

export async function printConfig(args: readonly string[]): Promise<void> {
  const reported = reportConfig(resolveConfig())
  process.stdout.write(args.includes('--json') ? `${JSON.stringify(reported, null, 2)}\n` : renderConfig(reported))
}
