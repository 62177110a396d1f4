// Checks whether an answer matches the document.

import { type Operation, problems } from './described.ts'
import type { Answered, Sent } from './requests.ts'

/** Answers that every address may give, whether or not the document lists them there. */
const generic = [400, 404, 405, 413, 414, 415, 431]
const leaks =
  /\bat \S+ \(|node:internal|\.ts:\d+|node_modules|\bSELECT\b|\bINSERT INTO\b|PrismaClient|SQLSTATE|syntax error at/

/** What of the answer the document does not say. */
export function unlikeDocument(
  template: string,
  { method, path }: Sent,
  answer: Answered,
  operation: Operation,
): string[] {
  const { status, text, headers } = answer
  if (isOfNoAddress(template, path, answer)) return unfit(answer)
  const described = operation.responses[String(status)]
  if (described === undefined && !generic.includes(status)) return [`${status} is not documented`]
  const wrong = unfit(answer)
  if (described === undefined) return [...wrong, ...unlikeOurs(answer, operation)]
  const type = String(headers['content-type'] ?? '').split(';')[0] as string
  if (text === '') {
    if (described.content !== undefined && method !== 'HEAD') wrong.push('has no body')
    return wrong
  }
  const media = described.content?.[type]
  if (media === undefined) return [...wrong, `is ${type}, which is not documented`]
  return type === 'application/json' ? [...wrong, ...problems(media.schema, JSON.parse(text))] : wrong
}

/**
 * A path with an empty part is the path of another call. A part that cannot be decoded or is too long, and a path that
 * is not a ping without `/ping/` before it, are refused before any call is known.
 */
function isOfNoAddress(template: string, address: string, { status, text }: Answered): boolean {
  const parts = (address.split('?')[0] as string).split('/')
  const given = template.split('/').flatMap((part, i) => (part.startsWith('{') ? [parts[i] ?? ''] : []))
  if (given.includes('')) return true
  const isOdd = given.some((part) => part.includes('%') || part.length > 100)
  if (isOdd && status === 400 && /^\{"error":"invalid url format"(,"code":"bad_request")?\}$/.test(text)) return true
  const isBare = template.startsWith('/{')
  return (isOdd || isBare) && status === 404 && text === '{"error":"not found","code":"not_found"}'
}

/** Where any error of the call is in our form, what the document does not name is, too. */
function unlikeOurs({ text }: Answered, operation: Operation): string[] {
  const schemas = Object.entries(operation.responses)
    .filter(([status]) => status.startsWith('4'))
    .flatMap(([, { content }]) => content?.['application/json']?.schema ?? [])
  const isOurs =
    schemas.length > 0 && schemas.every((one) => (one as { required?: string[] }).required?.includes('code'))
  if (!isOurs) return []
  const { error, code } = JSON.parse(text) as Record<string, unknown>
  return typeof error === 'string' && typeof code === 'string' ? [] : ['is not {error, code}']
}

/** The same of an answer to a method that the address does not have. */
export function undocumented({ method }: Sent, answer: Answered): string[] {
  const { status, headers } = answer
  const wrong = unfit(answer)
  if (status !== 405) return [...wrong, `${method} is not refused with 405`]
  if (headers.allow === undefined) wrong.push('405 without Allow')
  return wrong
}

function unfit({ status, text }: Answered): string[] {
  const wrong = status >= 500 && status !== 503 ? [`${status}`] : []
  return status >= 400 && leaks.test(text) ? [...wrong, 'tells of its inside'] : wrong
}
