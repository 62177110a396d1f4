/** A failure whose message is written for the user of the command. */
export class CommandError extends Error {
  override name = 'CommandError'
}

/** The server answered with a refusal. */
export class ServerRefusal extends CommandError {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
