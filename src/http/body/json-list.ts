// Long lists are sent page by page: no list is completely in memory, and between two pages the event loop does other
// work.

import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/**
 * Answers `{"<name>": […]}`. Until the second page has been read it fails like any other call, and after that by
 * closing the connection.
 */
export async function sendList(
  reply: FastifyReply,
  name: string,
  pages: AsyncGenerator<readonly object[], void, undefined>,
): Promise<FastifyReply> {
  const first = await pages.next()
  const second = first.done ? first : await pages.next()
  if (second.done) return reply.send({ [name]: first.done ? [] : first.value })
  const known = [first.value, second.value] as readonly (readonly object[])[]
  return reply.type('application/json; charset=utf-8').send(Readable.from(render(name, known, pages)))
}

async function* render(
  name: string,
  known: readonly (readonly object[])[],
  rest: AsyncGenerator<readonly object[], void, undefined>,
): AsyncGenerator<string, void, undefined> {
  yield `{${JSON.stringify(name)}:[${known.map(items).join(',')}`
  for await (const page of rest) yield `,${items(page)}`
  yield ']}'
}

const items = (page: readonly object[]) => JSON.stringify(page).slice(1, -1)
