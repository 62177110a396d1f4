// Long lists go out page by page: none is ever whole in memory, and between two pages everybody else gets a turn.

import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/** Answers `{"<name>": […]}`. Fails like any other call as long as the second page has not been read, and by breaking off after that. */
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
