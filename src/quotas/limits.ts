// The limits of a project, and the texts of refusals beyond them.

import { AppError } from '../core/errors.ts'

/** By their names in the API. */
export type Quota = {
  checks: number
  channels: number
  /** Created with the ping key (`create=1`), per hour of the clock. */
  new_checks_per_hour: number
  /** Bytes of stored bodies. */
  body_bytes: number
  body_bytes_per_check: number
  /** The share of each replica's spool, from 0 to 1. */
  spool_share: number
}

export type QuotaName = keyof Quota

/** The name of a quota in the configuration. */
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

/** A project has reached its quota. */
export type QuotaRefusal = { quota: Refusable; limit: number; message: string; retryAfterS?: number }

type Refusable = 'checks' | 'channels' | 'new_checks_per_hour'

const texts: Record<Refusable, (limit: number) => string> = {
  checks: (limit) => `quota exceeded: this project may have at most ${limit} checks`,
  channels: (limit) => `quota exceeded: this project may have at most ${limit} channels`,
  new_checks_per_hour: (limit) => `quota exceeded: at most ${limit} checks may be created with the ping key per hour`,
}

/** `retryAfterS` if the quota has room again after that time. */
export function refusalOf(quota: Refusable, limit: number, retryAfterS?: number): QuotaRefusal {
  return { quota, limit, message: texts[quota](limit), ...(retryAfterS !== undefined && { retryAfterS }) }
}

/** 403, or 429 if the quota has room again after some time. */
export function quotaError({ quota, limit, message, retryAfterS }: QuotaRefusal): AppError {
  const code = retryAfterS === undefined ? 'quota_exceeded' : 'too_many_requests'
  return new AppError(code, message, { field: quota, limit, ...(retryAfterS !== undefined && { retryAfterS }) })
}
