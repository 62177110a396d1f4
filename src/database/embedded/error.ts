/** Everything about the embedded database that waiting cannot mend: one line that says what to do. */
export class EmbeddedPostgresError extends Error {
  override readonly name: string = 'EmbeddedPostgresError'
}

/** Somebody else runs this cluster. Apart from the others because a running owner that meets it must step down, not retry. */
export class ClusterTakenError extends EmbeddedPostgresError {
  override readonly name = 'ClusterTakenError'
}

export function errorCode(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code
}
