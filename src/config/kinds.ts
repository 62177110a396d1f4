// The types of settings. Three keywords are Flatline's own: `env` is the short alias, `secret` keeps the value out of
// messages and logs, `reading` names the function of values.ts for values that a plain type cannot describe.
import { Type } from 'typebox'

// setTimeout fires at once for anything longer, so a month-long interval would become a busy loop.
const longestTimerMs = 2 ** 31 - 1

type Extra = { env?: string; minimum?: number; maximum?: number }

export const integer = (fallback: number, description: string, extra: Extra = {}) =>
  Type.Integer({ default: fallback, minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description, ...extra })
export const milliseconds = (fallback: number, description: string, extra: Extra = {}) =>
  integer(fallback, description, { maximum: longestTimerMs, ...extra })
export const flag = (env: string, description: string) => Type.Boolean({ default: false, env, description })
export const secret = (env: string, description: string, pattern: string, rule: string) =>
  Type.Optional(Type.String({ env, secret: true, description, pattern, rule }))
