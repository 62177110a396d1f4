// How chat services, mail and push services write emphasis, links and code, and one layout for services that take
// a single text. Every function takes plain text and escapes it: the result contains no markup from the text, mentions
// nobody, and has no character that the format lacks. So no caller can forget to escape; never pass the result of one
// function to another.

import { printable } from '../kit/characters.ts'
import type { Alert } from './alert.ts'
import type { Severity } from './message.ts'

export type Markup = {
  text: (plain: string) => string
  strong: (plain: string) => string
  link: (label: string, url: string) => string
  code: (plain: string) => string
  /** Between two lines of text. */
  newline: string
  /** Between a line and a block of code; twice, between paragraphs. */
  blockBreak: string
}

const invisible = '\u200b'

/**
 * Prevents an at sign from mentioning a person, everybody or a room. Vendors differ in what may precede a mention, but
 * after a letter or a digit, as in an e-mail address, no vendor sees one.
 */
export const unmentioned = (text: string) => text.replace(/(?<![A-Za-z0-9])@/g, `@${invisible}`)

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Escapes for HTML and XML, in text and in attributes. */
export const xml = (text: string) => printable(text).replace(/[&<>"]/g, (character) => entities[character] as string)

/** Breaks runs of backticks, so that none can begin a fence, or end the one around it. */
const unfenced = (text: string) => text.replace(/`{3,}/g, spread)
const spread = (run: string) => [...run].join(invisible)
const fenced = (text: string) => `\`\`\`\n${unfenced(text)}\n\`\`\``

const oneLined = (text: string) => text.replace(/[\r\n]+/g, ' ').trim()

/** Blanks at the start of a line, which a renderer would leave out or show as code. */
const nonBreaking = (blanks: string) => '\u00a0'.repeat(blanks.length)

/** Any of these characters could end the address of a link. */
const linkable = (url: string) => url.replace(/[\s<>()[\]|"\\`*]/g, (character) => encoded(character))
const encoded = (character: string) => `%${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`

const asIs = (text: string) => text

export const plain: Markup = {
  text: asIs,
  strong: asIs,
  link: (label, url) => `${label}: ${url}`,
  code: asIs,
  newline: '\n',
  blockBreak: '\n',
}

/** For formats without markup in which people can be mentioned. */
export const unmarked: Markup = {
  ...plain,
  text: unmentioned,
  strong: unmentioned,
  link: (label, url) => `${unmentioned(label)}: ${url}`,
  code: unmentioned,
}

/** Within a word an underscore is no markup, and some services would show the backslash in names and addresses. */
const loneUnderscore = /(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu

/** Markdown joins lines that only a line feed separates. */
const hardBreak = '  \n'

/** CommonMark (https://spec.commonmark.org), in which every mark can be escaped. */
export const markdown = markdownOf((text) => text.replace(/[\\`*~[\]<>#|$]|&(?=#?\w)/g, '\\$&'))

/**
 * For chat services that show a backslash before all but the commonest marks. Services that adopted Slack's webhooks
 * also read its entities, and its links and mentions, which begin with an angle bracket.
 */
export const chatMarkdown = markdownOf((text) =>
  text
    .replace(/[\\`*[\]]/g, '\\$&')
    .replace(/<(?=\S)|&(?=#?\w)/g, `$&${invisible}`)
    .replace(/~{2,}/g, spread),
)

/** Plain text for chat services that read every text as Markdown. */
export const chatText: Markup = {
  ...plain,
  text: chatMarkdown.text,
  strong: chatMarkdown.text,
  link: (label, url) => `${chatMarkdown.text(label)}: ${linkable(url)}`,
  code: chatMarkdown.text,
}

/**
 * Slack's format: only three characters can be escaped. A mention in Slack needs one of them; services that adopted the
 * format also read a bare at sign.
 */
export const mrkdwn: Markup = {
  text: (text) => unmentioned(unfenced(slackText(text))),
  strong: (text) => `*${mrkdwn.text(oneLined(text)).replaceAll('*', '∗')}*`,
  link: (label, url) => `<${slackText(linkable(url))}|${mrkdwn.text(oneLined(label)).replaceAll('|', '¦')}>`,
  code: (text) => fenced(mrkdwn.text(text)),
  newline: '\n',
  blockBreak: '\n',
}

const slackText = (text: string) => printable(text).replace(/[&<>]/g, (character) => entities[character] as string)

/** For mail and Matrix. */
export const html: Markup = {
  text: (text) =>
    xml(text)
      .replace(/^[ \t]+/gm, nonBreaking)
      .replaceAll('\n', '<br>'),
  strong: (text) => `<strong>${xml(oneLined(text))}</strong>`,
  link: (label, url) => `<a href="${xml(url)}">${xml(oneLined(label))}</a>`,
  code: (text) => `<pre>${xml(text)}</pre>`,
  newline: '<br>',
  blockBreak: '<br>',
}

/** The few tags that Telegram and Pushover know. Telegram notifies the account that is named after an at sign. */
export const simpleHtml: Markup = {
  ...html,
  text: (text) => unmentioned(xml(text)),
  strong: (text) => `<b>${unmentioned(xml(oneLined(text)))}</b>`,
  link: (label, url) => `<a href="${xml(url)}">${unmentioned(xml(oneLined(label)))}</a>`,
  code: (text) => `<code>${unmentioned(xml(text))}</code>`,
  newline: '\n',
  blockBreak: '\n',
}

function markdownOf(escaped: (text: string) => string): Markup {
  const words = (text: string) => unmentioned(escaped(printable(text)).replace(loneUnderscore, '\\_'))
  const line = (text: string) => {
    const bare = text.trimStart()
    return nonBreaking(text.slice(0, text.length - bare.length)) + unopened(words(bare.trimEnd()))
  }
  return {
    text: (text) => joinedLines(text.split(/\r\n?|\n/).map(line)),
    strong: (text) => `**${words(oneLined(text))}**`,
    link: (label, url) => `[${words(oneLined(label))}](${linkable(url)})`,
    code: (text) => unmentioned(fenced(printable(text))),
    newline: hardBreak,
    blockBreak: '\n',
  }
}

/** Keeps a line from beginning a heading, a quotation, a rule, a table or a list. */
const unopened = (line: string) =>
  line
    .replace(/^(?:-(?=[-\s|:]|$)|\+(?=\s|$)|=(?=[=\s]*$)|#(?=#*(?:\s|$))|>)/, '\\$&')
    .replace(/^\d{1,9}(?=[.)](?:\s|$))/, '$&\\')

/** Beside an empty line a hard break is not needed. */
function joinedLines(lines: readonly string[]): string {
  return lines.reduce((before, line, index) => {
    const beside = line === '' || lines[index - 1] === ''
    return `${before}${beside ? '\n' : hardBreak}${line}`
  })
}

/** Makes outages visible in a list of messages without colours. */
export const marks: Record<Severity, string> = { critical: '🔴', warning: '🟠', info: '🔵', resolved: '🟢' }

export const colours: Record<Severity, string> = {
  critical: '#a30200',
  warning: '#daa038',
  info: '#439fe0',
  resolved: '#2eb886',
}

/** Why, the facts, the last output and the links. */
export function bodyOf(alert: Alert, { text, strong, link, code, newline, blockBreak }: Markup): string {
  const facts = alert.facts.map((fact) => `${strong(`${fact.label}:`)} ${text(fact.value)}`)
  const output = alert.output === null ? [] : [`${strong('Last output:')}${blockBreak}${code(alert.output)}`]
  const links = alert.links.map(({ label, url }) => link(label, url))
  const paragraphs = [[text(alert.text)], facts, output, links].filter(({ length }) => length > 0)
  return paragraphs.map((lines) => lines.join(newline)).join(blockBreak + blockBreak)
}

/** All of it, the title included. */
export function messageOf(alert: Alert, markup: Markup): string {
  return markup.strong(alert.title) + markup.newline + bodyOf(alert, markup)
}
