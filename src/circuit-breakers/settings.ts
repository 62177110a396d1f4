import type { Config } from '../config/load.ts'
import { shippedOverrides } from '../config/work.ts'
import type { BreakerSettings } from './service.ts'

/** The settings of a breaker: overrides for its exact name win over those for its kind. */
export function createSettingsOf({ overrides, ...base }: Config['breakers']) {
  const layers: Record<string, Partial<BreakerSettings>>[] = [shippedOverrides, overrides]
  const settings = (key: string) => layers.map((layer) => (Object.hasOwn(layer, key) ? layer[key] : undefined))
  return (kind: string, name: string): BreakerSettings =>
    Object.assign({}, base, ...settings(kind), ...(name === kind ? [] : settings(name)))
}
