// The time limit of each test file on a quiet machine; a slower machine multiplies it.

export type Limits = {
  /** Of the whole file. */
  fileMs: number
  /** Of each test that states nothing else. */
  testMs: number
  /** From the end of the last test to the end of the process, and from there to the end of what it started. */
  exitMs: number
}

const minute = 60_000
const usual: Limits = { fileMs: 5 * minute, testMs: 3 * minute, exitMs: 10_000 }

/** Files whose tests state longer limits of their own. */
const longer: Record<string, number> = {
  'test/deployment/compose/compose-up.test.ts': 20 * minute,
  'test/deployment/image/image.test.ts': 15 * minute,
  'test/faults/faults.test.ts': 15 * minute * Number(process.env.FAULT_ROUNDS ?? 1),
  'test/ingest/hot.test.ts': 12 * minute,
  'test/scenarios/replicas/rolling.test.ts': 10 * minute,
  'test/scenarios/replicas/rolling-migration.test.ts': 10 * minute,
}

export function limitsOf(file: string, slowness: number): Limits {
  const { fileMs, testMs, exitMs } = { ...usual, fileMs: longer[file] ?? usual.fileMs }
  return { fileMs: fileMs * slowness, testMs: Math.ceil(testMs * slowness), exitMs: exitMs * slowness }
}
