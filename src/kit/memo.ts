/**
 * `compute` with a cache of the last `limit` distinct keys; the oldest entry leaves first. `compute` must be pure and
 * never return undefined.
 */
export function memo<K, V extends NonNullable<unknown> | null>(limit: number, compute: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>()
  return (key) => {
    const remembered = known.get(key)
    if (remembered !== undefined) return remembered
    const value = compute(key)
    if (known.size >= limit) known.delete(known.keys().next().value as K)
    known.set(key, value)
    return value
  }
}
