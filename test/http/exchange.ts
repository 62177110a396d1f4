// Requests that no client library would send: any method, any address, a body that is announced and never sent.

import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'

export type Exchange = { status: number; headers: IncomingHttpHeaders; text: string }

export type Sent = {
  method?: string
  path: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  /** Whether the body stays open: the answer must come without its end. */
  unfinished?: boolean
}

/** Sends one request on a connection of its own and reads the answer. */
export async function exchange(url: string, sent: Sent): Promise<Exchange> {
  const { method = 'GET', path, headers = {}, body, unfinished = false } = sent
  const { hostname, port } = new URL(url)
  const framed = body === undefined || unfinished ? headers : { 'content-length': String(body.length), ...headers }
  return new Promise((resolve, reject) => {
    const client = httpRequest({ host: hostname, port, method, path, headers: framed, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('end', () => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, headers, text: Buffer.concat(chunks).toString() })
        client.destroy()
      })
    })
    client.once('error', reject)
    if (body !== undefined) client.write(body)
    if (unfinished) client.flushHeaders()
    else client.end()
  })
}
