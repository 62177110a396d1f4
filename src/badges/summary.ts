// The content of a badge: how many of the checks are down and how many late. New, paused and started checks count as
// up.

import { printable } from '../kit/characters.ts'
import type { Format } from './addresses.ts'

export type Counts = { total: number; grace: number; down: number }
type BadgeState = 'up' | 'late' | 'down'

const colours = {
  up: { svg: '#4c1', shields: 'success' },
  late: { svg: '#fe7d37', shields: 'important' },
  down: { svg: '#e05d44', shields: 'critical' },
} satisfies Record<BadgeState, object>

export const nothing: Counts = { total: 0, grace: 0, down: 0 }

export function add(counts: Counts, status: string): Counts {
  const { total, grace, down } = counts
  return { total: total + 1, grace: grace + Number(status === 'grace'), down: down + Number(status === 'down') }
}

function stateOf({ grace, down }: Counts, withLate: boolean): BadgeState {
  if (down > 0) return 'down'
  return withLate && grace > 0 ? 'late' : 'up'
}

/** The body in a format, and its type. */
export async function render(
  name: string,
  counts: Counts,
  { withLate, format }: { withLate: boolean; format: Format },
): Promise<{ type: string; body: string }> {
  const label = printable(name)
  const message = stateOf(counts, withLate)
  const { svg, shields } = colours[message]
  if (format === 'svg') {
    // Loaded for the first picture: its table of character widths takes memory that most installations never need.
    const { makeBadge } = await import('badge-maker')
    return { type: 'image/svg+xml', body: makeBadge({ label, message, color: svg, style: 'flat' }) }
  }
  const document =
    format === 'json' ? { status: message, ...counts } : { schemaVersion: 1, label, message, color: shields }
  return { type: 'application/json', body: JSON.stringify(document) }
}
