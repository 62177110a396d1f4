// Asks the service on this machine whether it can accept heartbeats, for those who can run a command and not make a request:
// the HEALTHCHECK of the image, which has no curl.

/** Below the three seconds after which container engines give up, so that the answer says why. */
const timeoutMs = 2500

/** `answer` is one line for people: what /health/ready said, or why nothing came. */
export async function askReadiness(listen: {
  host: string
  port: number
}): Promise<{ ready: boolean; answer: string }> {
  if (listen.port === 0) return { ready: false, answer: 'PORT=0 picks a free port, which cannot be known from here' }
  const url = `http://${reachable(listen.host)}:${listen.port}/health/ready`
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
    return { ready: response.ok, answer: `${url} answered ${response.status}: ${await response.text()}` }
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } }
    return { ready: false, answer: `${url} did not answer: ${cause?.code ?? message}` }
  }
}

/** An address to connect to, where the service listens on all. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
