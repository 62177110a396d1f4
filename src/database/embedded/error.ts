/** An error of the embedded database that waiting cannot solve: one line that says what to do. */
export class EmbeddedPostgresError extends Error {
  override readonly name: string = 'EmbeddedPostgresError'
}

/** Another process runs this cluster. A class of its own, because a running owner that gets it must stop, not retry. */
export class ClusterTakenError extends EmbeddedPostgresError {
  override readonly name = 'ClusterTakenError'
}

export function errorCode(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code
}
