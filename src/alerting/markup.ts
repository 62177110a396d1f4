// The ways in which chat services, mail and push write emphasis, links and code, and one layout for those who take a single text.
// `text` makes a plain text harmless: no markup of its own, nobody mentioned.

import type { Alert } from './alert.ts'
import type { Severity } from './message.ts'

export type Markup = {
  text: (plain: string) => string
  strong: (marked: string) => string
  link: (label: string, url: string) => string
  code: (plain: string) => string
  newline: string
}

/** Keeps an at sign from calling somebody, everybody or a room. */
const unmentioned = (text: string) => text.replace(/(?<![\w.])@(?=[\w*])/g, '@\u200b')

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
/** For HTML and XML, in text and in attributes. */
export const xml = (text: string) => text.replace(/[&<>"]/g, (character) => entities[character] as string)

/** No run of backticks in it can begin a fence, or end the one around it. */
const unfenced = (text: string) => text.replaceAll('```', '`\u200b`\u200b`')
const fenced = (text: string) => `\`\`\`\n${unfenced(text)}\n\`\`\``

const asIs = (text: string) => text

export const plain: Markup = {
  text: asIs,
  strong: asIs,
  link: (label, url) => `${label}: ${url}`,
  code: asIs,
  newline: '\n',
}

/** As CommonMark has it, where every mark can be escaped. */
export const markdown: Markup = {
  text: (text) => unmentioned(text.replace(/[\\`*_~[\]<>#|]/g, '\\$&')),
  strong: (marked) => `**${marked}**`,
  link: (label, url) => `[${label}](${url})`,
  code: fenced,
  newline: '\n',
}

/** Of chat services that show a backslash before any but the commonest marks. */
export const chatMarkdown: Markup = {
  ...markdown,
  text: (text) => unmentioned(text.replace(/[\\`*_[\]]/g, '\\$&')),
}

/** Slack's own: only three characters can be escaped, and a mention needs one of them. */
export const mrkdwn: Markup = {
  text: (text) => unfenced(text).replace(/[&<>]/g, (character) => entities[character] as string),
  strong: (marked) => `*${marked.replaceAll('*', '∗')}*`,
  link: (label, url) => `<${url}|${label}>`,
  code: (text) => fenced(mrkdwn.text(text)),
  newline: '\n',
}

/** For mail and Matrix. */
export const html: Markup = {
  text: (text) => xml(text).replaceAll('\n', '<br>'),
  strong: (marked) => `<strong>${marked}</strong>`,
  link: (label, url) => `<a href="${xml(url)}">${label}</a>`,
  code: (text) => `<pre>${xml(text)}</pre>`,
  newline: '<br>',
}

/** The few tags that Telegram and Pushover know. */
export const simpleHtml: Markup = {
  ...html,
  text: xml,
  strong: (marked) => `<b>${marked}</b>`,
  code: (text) => `<code>${xml(text)}</code>`,
  newline: '\n',
}

/** Stands out in a list of messages where there is no colour. */
export const marks: Record<Severity, string> = { critical: '🔴', warning: '🟠', info: '🔵', resolved: '🟢' }

export const colours: Record<Severity, string> = {
  critical: '#a30200',
  warning: '#daa038',
  info: '#439fe0',
  resolved: '#2eb886',
}

/** Why, the facts, the last output and the links. */
export function bodyOf(alert: Alert, { text, strong, link, code, newline }: Markup): string {
  const facts = alert.facts.map((fact) => `${strong(text(`${fact.label}:`))} ${text(fact.value)}`)
  const output = alert.output === null ? [] : [`${strong(text('Last output:'))}${newline}${code(alert.output)}`]
  const links = alert.links.map(({ label, url }) => link(label, url))
  const paragraphs = [[text(alert.text)], facts, output, links].filter(({ length }) => length > 0)
  return paragraphs.map((lines) => lines.join(newline)).join(newline + newline)
}

/** All of it, the title included. */
export function messageOf(alert: Alert, markup: Markup): string {
  return markup.strong(markup.text(alert.title)) + markup.newline + bodyOf(alert, markup)
}
