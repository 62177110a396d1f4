// The effective configuration for people: every setting, its value without secrets, and where it came from.
import type { resolveConfig } from './load.ts'
import { settings } from './schema.ts'

type ResolvedSetting = ReturnType<typeof resolveConfig>

export type ReportedSetting = { path: string; value: unknown; origin: string }

/** In the order of the schema. Secrets are `***`; unset values are null. */
export function reportConfig({ config, origins }: ResolvedSetting): ReportedSetting[] {
  return settings.map(({ path, secret }) => {
    const value =
      path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)?.[key], config) ?? null
    return { path, value: secret && value !== null ? '***' : value, origin: origins.get(path) ?? 'default' }
  })
}

/** One line for each setting, aligned. */
export function renderConfig(reported: readonly ReportedSetting[]): string {
  const rows = reported.map(({ path, value, origin }) => [path, textOf(value), origin])
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0))
  const [pathWidth, valueWidth] = [width(0), Math.min(60, width(1))]
  return rows
    .map(
      ([path = '', value = '', origin = '']) => `${path.padEnd(pathWidth)}  ${value.padEnd(valueWidth)}  ${origin}\n`,
    )
    .join('')
}

function textOf(value: unknown): string {
  if (value === null) return '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
