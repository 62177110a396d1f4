import type { Socket } from 'node:net'

const answers: Record<string, { status: string; error: string }> = {
  HPE_HEADER_OVERFLOW: { status: '431 Request Header Fields Too Large', error: 'the head of the request is too large' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: '408 Request Timeout', error: 'the request took too long to arrive' },
}
const malformed = { status: '400 Bad Request', error: 'the request is not valid HTTP' }

/**
 * Answers data that is not a valid request in the shape of every other error, and closes the connection. Nothing of it
 * is logged.
 */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, error: text } = answers[error.code ?? ''] ?? malformed
  const body = JSON.stringify({ error: text, code: 'bad_request' })
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}`
  socket.end(`${head}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`)
}
