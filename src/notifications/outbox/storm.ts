// In a storm the first alerts of a project go singly and the rest together: a pure decision over the flips that are at hand.

/** Within `windowMs` the first `singly` flips of a project. A group waits `gatherMs` for more. */
export type StormPolicy = { singly: number; windowMs: number; gatherMs: number }

/** `recent` counts the flips of each project within the window before these. Says of each whether it is one of the rest. */
export function restOfStorm<F extends { projectId: string }>(
  flips: readonly F[],
  recent: ReadonlyMap<string, number>,
  { singly }: StormPolicy,
): (F & { grouped: boolean })[] {
  const counts = new Map(recent)
  return flips.map((flip) => {
    const count = (counts.get(flip.projectId) ?? 0) + 1
    counts.set(flip.projectId, count)
    return { ...flip, grouped: count > singly }
  })
}

/** Groups gather over spans of equal length, the same for all replicas; each is due when its span ends. */
export function gathering(now: number, { gatherMs }: StormPolicy): { span: number; due: number } {
  const span = Math.floor(now / gatherMs)
  return { span, due: (span + 1) * gatherMs }
}
