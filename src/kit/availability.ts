// Which errors mean that a database cannot be reached, for every driver.

const socketErrors = ['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']
const prismaErrors = ['P1001', 'P1002', 'P1017', 'P2024']

/** Whether an open circuit breaker refused the call: such an error names the breaker in its own field. */
export function breakerRefused(error: unknown): boolean {
  return (error as { breaker?: unknown }).breaker !== undefined
}

/**
 * Errors of the connection or of the server, not of the statement: of the socket, of the pool, or SQLSTATE classes 08
 * (connection), 28 (access refused), 53 (server full), 57P (server stops), and of a server that takes no connections
 * or, after a failover, no writes.
 */
export function isDatabaseAway(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  return (
    /^(08|28|3D000|53|55000|57P|25006|25P03)/.test(code) ||
    breakerRefused(error) ||
    // Flatline's own codes: the database is not open yet, or was unavailable a moment ago.
    code === 'unavailable' ||
    socketErrors.includes(code) ||
    prismaErrors.includes(code) ||
    /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|not queryable/.test(
      message,
    )
  )
}

/**
 * Statement and lock time-outs, conflicts and deadlocks: the database works, and the same statement may succeed later.
 */
const busyStates = ['57014', '55P03', '40001', '40P01']

/**
 * Whether a statement was given up although the database answers. pg has the SQLSTATE in the error, Prisma in its
 * cause.
 */
export function isOutOfTime(error: unknown): boolean {
  for (let next = error, depth = 0; typeof next === 'object' && next !== null && depth < 5; depth++) {
    const { code, originalCode, cause, meta } = next as Record<string, unknown>
    if (busyStates.includes(String(code)) || busyStates.includes(String(originalCode)) || code === 'P2034') return true
    next = cause ?? (meta as { driverAdapterError?: unknown } | undefined)?.driverAdapterError
  }
  return false
}
