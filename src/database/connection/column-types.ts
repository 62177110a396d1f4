// How the columns of an answer are read: instants as epoch milliseconds, counters as numbers.

import pg from 'pg'

const { builtins } = pg.types

export const columnTypes: pg.CustomTypesConfig = {
  getTypeParser: ((id: number, format?: 'text' | 'binary') => {
    if (format !== 'binary' && id === builtins.TIMESTAMPTZ) return epochMs
    if (format !== 'binary' && id === builtins.INT8) return Number
    return pg.types.getTypeParser(id, format as 'text')
  }) as pg.CustomTypesConfig['getTypeParser'],
}

/**
 * PostgreSQL's ISO output, `2026-11-22 21:10:00.123+00`, in any zone of the session; UTC, the usual one, without a
 * pattern.
 */
function epochMs(text: string): number {
  if (text.endsWith('+00')) return Date.parse(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`)
  const [, instant, sign, hours, minutes] = /^(.*)([+-])(\d\d)(?::(\d\d))?$/.exec(text) ?? []
  return Date.parse(`${instant?.replace(' ', 'T')}${sign}${hours}:${minutes ?? '00'}`)
}
