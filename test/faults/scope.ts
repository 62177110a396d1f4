import type { TestContext } from 'node:test'

/** What outlives a function until its test, or program, is over. */
export type Scope = Pick<TestContext, 'after'>

/** For a program: the last begun is the first to end. */
export function createScope() {
  const ends: (() => unknown)[] = []
  return {
    after(end: unknown): void {
      ends.push(end as () => unknown)
    },
    async end(): Promise<void> {
      for (const end of ends.reverse()) await end()
    },
  }
}
