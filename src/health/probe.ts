// Asks the service on this machine whether it can accept heartbeats, for callers that can run a command but not make a
// request: the HEALTHCHECK of the image, which has no curl. It runs every few seconds beside a busy service, so it
// loads only node:http.

import { get } from 'node:http'

/** Shorter than the three seconds after which container engines give up, so that the answer can say why. */
const timeoutMs = 2500
const answerMaxLength = 4096

/** `answer` is one line for people: what /health/ready said, or why no answer came. */
export async function askReadiness(listen: {
  host: string
  port: number
}): Promise<{ ready: boolean; answer: string }> {
  if (listen.port === 0) return { ready: false, answer: 'PORT=0 picks a free port, which cannot be known from here' }
  const url = `http://${reachable(listen.host)}:${listen.port}/health/ready`
  try {
    const { status, text } = await ask(url)
    return { ready: status === 200, answer: `${url} answered ${status}: ${text}` }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { ready: false, answer: `${url} did not answer: ${code ?? message}` }
  }
}

function ask(url: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      let text = ''
      response
        .setEncoding('utf8')
        .on('data', (chunk: string) => {
          if (text.length < answerMaxLength) text += chunk
        })
        .on('error', reject)
        .on('end', () => resolve({ status: response.statusCode ?? 0, text: text.slice(0, answerMaxLength) }))
    })
    request.on('error', reject)
  })
}

/** An address to connect to, also if the service listens on all addresses. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
