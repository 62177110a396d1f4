/** A failure whose message is written for the user of the command. */
export class CommandError extends Error {
  override name = 'CommandError'
  /** The exit status of the command. */
  readonly exitCode: number = 1
}

/** The command was called in a way that it does not know. */
export class UsageError extends CommandError {
  override readonly exitCode = 2
}

/** There was no answer, or none that Flatline gives. */
export class UnreachableError extends CommandError {
  override readonly exitCode = 3
}

/** What the API says about a refusal; `code` and `field` only where the address has them. */
export type Problem = { error: string; code?: string; field?: string }

/** The server answered with a refusal. */
export class ServerRefusal extends CommandError {
  readonly status: number
  readonly problem: Problem | null
  constructor(status: number, message: string, problem: Problem | null = null) {
    super(message)
    this.status = status
    this.problem = problem
  }
}
