// Heartbeats by e-mail (the Healthchecks catalogue, section 2.7): whom a message is for, and what its owner's filters see of it. The
// mailbox is a uuid, or a ping key and a slug joined by `+`. Whatever else a message is, it is kept as it came.

import { Tokenizer } from 'htmlparser2'
import { simpleParser } from 'mailparser'
import type { MailText } from '../../core/heartbeat.ts'
import { isUuid } from '../../core/identifier.ts'
import type { Recipient } from './healthchecks.ts'

/** `rejected`: not a domain that is served here. `invalid`: no mailbox that a check could have. */
export type RecipientProblem = 'rejected' | 'invalid'

/** Reads an address. Without a `domain` any is served: whoever has one host has one name for it. */
export function parseRecipient(address: string, domain: string | undefined): Recipient | RecipientProblem {
  const at = address.lastIndexOf('@')
  const mailbox = address.slice(0, at)
  if (at === -1) return 'invalid'
  if (domain !== undefined && address.slice(at + 1).toLowerCase() !== domain.toLowerCase()) return 'rejected'
  // Mail servers may change the case of a mailbox; of a ping key it matters.
  if (isUuid(mailbox.toLowerCase())) return { monitorId: mailbox.toLowerCase() }
  const [, pingKey, slug] = /^([A-Za-z0-9_-]{22})\+([a-z0-9_-]{1,100})$/.exec(mailbox) ?? []
  return pingKey === undefined || slug === undefined ? 'invalid' : { pingKey, slug }
}

/** As the history shows it. The address is what the sender claims, empty for a bounce. */
export function userAgentOf(sender: string): string {
  return `Email from ${sender}`.replace(/\p{Cc}/gu, '')
}

const parserOptions = { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true, skipTextLinks: true }

/** The subject and the texts of plain and HTML parts; empty for what is no message. */
export async function readMail(raw: Buffer): Promise<MailText> {
  try {
    const { subject = '', text = '', html } = await simpleParser(raw, parserOptions)
    return { subject, text: html ? `${text}\n${textOf(html)}` : text }
  } catch {
    return { subject: '', text: '' }
  }
}

const unseen = ['script', 'style', 'title']

/** Words do not run together over the end of these; they do over that of a bold letter. */
const blocks = new Set(
  'address article blockquote br dd div dl dt footer h1 h2 h3 h4 h5 h6 header hr li p pre section table td th tr ul'.split(
    ' ',
  ),
)

/**
 * What a reader of the page would see: `.error` of a style sheet is no error. The parser above the tokenizer takes seconds for a
 * megabyte of tags that nobody closes.
 */
function textOf(html: string): string {
  const texts: string[] = []
  let hiddenBy: string | null = null
  const nameAt = (start: number, end: number) => html.slice(start, end).toLowerCase()
  const show = (text: string) => {
    if (hiddenBy === null) texts.push(text)
  }
  const nothing = () => undefined
  const tokenizer = new Tokenizer(
    { decodeEntities: true },
    {
      onopentagname(start, end) {
        const name = nameAt(start, end)
        if (hiddenBy === null && unseen.includes(name)) hiddenBy = name
        if (blocks.has(name)) show('\n')
      },
      onclosetag(start, end) {
        const name = nameAt(start, end)
        if (name === hiddenBy) hiddenBy = null
        if (blocks.has(name)) show('\n')
      },
      ontext: (start, end) => show(html.slice(start, end)),
      ontextentity: (codepoint) => show(String.fromCodePoint(codepoint)),
      onattribdata: nothing,
      onattribentity: nothing,
      onattribend: nothing,
      onattribname: nothing,
      oncdata: nothing,
      oncomment: nothing,
      ondeclaration: nothing,
      onend: nothing,
      onopentagend: nothing,
      onprocessinginstruction: nothing,
      onselfclosingtag: nothing,
    },
  )
  tokenizer.write(html)
  tokenizer.end()
  return texts.join('')
}
