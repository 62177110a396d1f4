/** For commands: what goes well goes without saying. */
export const quietLog = {
  info() {},
  warn: (_: object, message: string) => console.error(message),
  error: (_: object, message: string) => console.error(message),
}
