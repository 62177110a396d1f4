// Shortens an alert to the limit of a destination: the last output first, then facts from the end, then the end of the
// text. The alert is cut, not the text made from it, so that no markup, JSON or entity is ever cut in half.

import type { Alert } from './alert.ts'
import { cut, tail } from './text.ts'

/** A shorter excerpt says nothing. */
const outputMin = 40
const titleMin = 60

/** The result of `write` for the longest part of the alert whose `size` is not larger than `max`. */
export function fit<T>(alert: Alert, max: number, write: (alert: Alert) => T, size: (written: T) => number): T {
  const fits = (candidate: Alert) => size(write(candidate)) <= max
  if (fits(alert)) return write(alert)
  const { output, facts, text } = alert
  if (output !== null) {
    const kept = largest(output.length, (length) => fits({ ...alert, output: tail(output, length) }))
    if (kept >= outputMin) return write({ ...alert, output: tail(output, kept) })
  }
  const bare = { ...alert, output: null }
  const count = largest(facts.length, (length) => fits({ ...bare, facts: facts.slice(0, length) }))
  if (count > 0 || fits({ ...bare, facts: [] })) return write({ ...bare, facts: facts.slice(0, count) })
  const short = { ...bare, facts: [] }
  const kept = largest(text.length, (length) => fits({ ...short, text: cut(text, length) }))
  if (kept > 0) return write({ ...short, text: cut(text, kept) })
  return write({ ...short, title: cut(alert.title, titleMin), text: '', links: [] })
}

/** For a text that is measured in UTF-16 units. */
export function fitText(alert: Alert, max: number, write: (alert: Alert) => string): string {
  return fit(alert, max, write, (text) => text.length)
}

/** For a document that is measured in bytes of its JSON. */
export function fitJson<T>(alert: Alert, maxBytes: number, write: (alert: Alert) => T): T {
  return fit(alert, maxBytes, write, (document) => Buffer.byteLength(JSON.stringify(document)))
}

/** The result of `write` for the longest part of a text whose result is not longer than `max`. */
export function within(max: number, text: string, write: (text: string) => string): string {
  const whole = write(text)
  if (whole.length <= max) return whole
  return write(
    cut(
      text,
      Math.max(
        1,
        largest(text.length, (length) => write(cut(text, length)).length <= max),
      ),
    ),
  )
}

/** The largest number up to `max` that fits, 0 if none does. If a number fits, every smaller one must fit. */
function largest(max: number, willDo: (n: number) => boolean): number {
  let [low, high] = [0, max]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (willDo(middle)) low = middle
    else high = middle - 1
  }
  return low
}
