import type { Config } from '../config/load.ts'
import { shippedOverrides } from '../config/work.ts'
import type { BreakerSettings } from './service.ts'

/** What is set for a breaker: its exact name wins over its kind. */
export function createSettingsOf({ overrides, ...base }: Config['breakers']) {
  const layers: Record<string, Partial<BreakerSettings>>[] = [shippedOverrides, overrides]
  const settings = (key: string) => layers.map((layer) => (Object.hasOwn(layer, key) ? layer[key] : undefined))
  return (kind: string, name: string): BreakerSettings =>
    Object.assign({}, base, ...settings(kind), ...(name === kind ? [] : settings(name)))
}
