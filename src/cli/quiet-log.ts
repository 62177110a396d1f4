/** A log for commands, which only prints problems. */
export const quietLog = {
  info() {},
  warn: (_: object, message: string) => console.error(message),
  error: (_: object, message: string) => console.error(message),
}
