// What a project may have, and in what words it is told when that is not enough.

import { AppError } from '../core/errors.ts'

/** By the names that the API has for them. */
export type Quota = {
  checks: number
  channels: number
  /** Made by ping key (`create=1`), in an hour of the clock. */
  new_checks_per_hour: number
  /** Of bodies that are kept. */
  body_bytes: number
  body_bytes_per_check: number
  /** Of each replica's spool, from 0 to 1. */
  spool_share: number
}

export type QuotaName = keyof Quota

/** A quota in the configuration. */
export type QuotaSetting = 'checks' | 'channels' | 'newChecksPerHour' | 'bodyBytes' | 'bodyBytesPerCheck' | 'spoolShare'

export const settingOf = {
  checks: 'checks',
  channels: 'channels',
  new_checks_per_hour: 'newChecksPerHour',
  body_bytes: 'bodyBytes',
  body_bytes_per_check: 'bodyBytesPerCheck',
  spool_share: 'spoolShare',
} as const satisfies Record<QuotaName, QuotaSetting>

export const quotaNames = Object.keys(settingOf) as QuotaName[]

/** A project has as much as it may have of `name`. */
export type QuotaRefusal = { quota: Refusable; limit: number; message: string; retryAfterS?: number }

type Refusable = 'checks' | 'channels' | 'new_checks_per_hour'

const texts: Record<Refusable, (limit: number) => string> = {
  checks: (limit) => `quota exceeded: this project may have at most ${limit} checks`,
  channels: (limit) => `quota exceeded: this project may have at most ${limit} channels`,
  new_checks_per_hour: (limit) => `quota exceeded: at most ${limit} checks may be made by ping key in an hour`,
}

/** `retryAfterS` where time alone mends it. */
export function refusalOf(quota: Refusable, limit: number, retryAfterS?: number): QuotaRefusal {
  return { quota, limit, message: texts[quota](limit), ...(retryAfterS !== undefined && { retryAfterS }) }
}

/** 403, or 429 for what time alone mends. */
export function quotaError({ quota, limit, message, retryAfterS }: QuotaRefusal): AppError {
  const code = retryAfterS === undefined ? 'quota_exceeded' : 'too_many_requests'
  return new AppError(code, message, { field: quota, limit, ...(retryAfterS !== undefined && { retryAfterS }) })
}
