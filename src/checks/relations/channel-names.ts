// Finds the channels that people name by id or by name, and formats a list of channels for the audit log.

import { AppError } from '../../core/errors.ts'

const identifierShownMax = 100
const listedMax = 20

/** Ids of the channels in a list, or in a text in which ids and names are joined by commas, each once. */
export type FindChannels = (wanted: string | readonly string[]) => string[]

/** Searches these channels of a project, which are indexed once. */
export function channelFinder(known: readonly { id: string; name: string }[]): FindChannels {
  let index: Map<string, Set<string>> | undefined

  function idOf(identifier: string): string {
    if (identifier === '') throw new AppError('bad_request', 'empty channel identifier', { field: 'channels' })
    index ??= channelIndex(known)
    const matches = index.get(identifier)
    const [id] = matches ?? []
    if (id !== undefined && matches?.size === 1) return id
    const problem = matches === undefined ? 'invalid' : 'non-unique'
    const shown = identifier.slice(0, identifierShownMax)
    throw new AppError('bad_request', `${problem} channel identifier: ${shown}`, { field: 'channels' })
  }

  return (wanted) => {
    if (wanted.length === 0) return []
    if (wanted === '*') return known.map(({ id }) => id)
    return [...new Set((typeof wanted === 'string' ? wanted.split(',') : wanted).map(idOf))]
  }
}

/** Which channels each id and each name means. */
function channelIndex(known: readonly { id: string; name: string }[]): Map<string, Set<string>> {
  const index = new Map<string, Set<string>>()
  for (const { id, name } of known)
    for (const identifier of [id, name]) index.set(identifier, (index.get(identifier) ?? new Set()).add(id))
  return index
}

/**
 * Sorted ids joined by commas. A long list is shortened to its first ids and the number of the others: one answer may
 * contain ten thousand changes.
 */
export function channelsText(ids: readonly string[]): string {
  const sorted = [...ids].sort()
  const listed = sorted.slice(0, listedMax).join(',')
  return sorted.length <= listedMax ? listed : `${listed} and ${sorted.length - listedMax} more`
}
