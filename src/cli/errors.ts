/** What went wrong, in words for whoever called. */
export class CommandError extends Error {
  override name = 'CommandError'
}

/** A server has answered, and not with what was asked for. */
export class ServerRefusal extends CommandError {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
