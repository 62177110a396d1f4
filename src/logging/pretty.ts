// Readable text for a terminal.

/** What need not be repeated on each line. */
export const prettyOptions = { ignore: 'pid,hostname,service,version' }

/** Makes text of whole lines of JSON. The library is loaded only where it is needed. */
export async function createPrettyFormat(): Promise<(lines: string) => string> {
  const { isColorSupported, prettyFactory } = (await import('pino-pretty')).default
  const format = prettyFactory({ ...prettyOptions, colorize: isColorSupported })
  return (lines) =>
    lines
      .split('\n')
      .map((line) => (line === '' ? '' : format(line)))
      .join('')
}
