// What people see of a message: each format is read by its own parser, or by the rules that its vendor documents.

import assert from 'node:assert/strict'
import { Parser } from 'htmlparser2'
import createMarkdown, { type MarkdownIt, type Token } from 'markdown-it'
import { SaxesParser } from 'saxes'

/** `marks` counts what is not plain text, by its name. */
export type Seen = { text: string; links: { label: string; url: string }[]; marks: Record<string, number> }

export type Format = keyof typeof formats

export const formats = { commonmark, chat, html, telegram, mrkdwn, xml, plain }

/** The spec's own grammar, raw HTML included. A line feed alone is a blank in it. */
function commonmark(source: string): Seen {
  return markdownSeen(createMarkdown('commonmark'), source, ' ')
}

/** The Markdown of chat services: no raw HTML, a line feed ends a line, with strikethrough and tables. */
function chat(source: string): Seen {
  return markdownSeen(createMarkdown({ html: false, breaks: true }), source, '\n')
}

function markdownSeen(parser: MarkdownIt, source: string, softBreak: string): Seen {
  const seen = emptySeen()
  let link: Seen['links'][number] | undefined
  const say = (text: string) => {
    seen.text += text
    if (link) link.label += text
  }
  const walk = (token: Token) => {
    const { type, content, children } = token
    if (type === 'inline') return void children?.forEach(walk)
    if (type === 'text' || type === 'text_special') return say(content)
    if (type === 'softbreak') return say(softBreak)
    if (type === 'hardbreak') return say('\n')
    if (type === 'paragraph_close') return say('\n\n')
    if (type === 'paragraph_open' || type.endsWith('_close')) {
      if (type === 'link_close') link = undefined
      return
    }
    count(seen, type)
    if (type === 'fence' || type === 'code_block') return say(`${content}\n`)
    if (type === 'link_open') {
      link = { label: '', url: String(token.attrGet('href')) }
      seen.links.push(link)
      return
    }
    say(content)
  }
  for (const token of parser.parse(source, {})) walk(token)
  return seen
}

/** Of a mail, of a message in Matrix, of a card. */
function html(source: string): Seen {
  const seen = emptySeen()
  const open: string[] = []
  const parser = new Parser({
    onopentag(name, { href }) {
      open.push(name)
      if (name === 'br') seen.text += '\n'
      else if (['p', 'pre', 'h2'].includes(name)) seen.text += '\n'
      if (name !== 'br') count(seen, name)
      if (name === 'a') seen.links.push({ label: '', url: href ?? '' })
    },
    ontext(text) {
      const shown = open.includes('pre') ? text : text.replace(/[ \t\n]+/g, ' ')
      seen.text += shown
      const link = seen.links.at(-1)
      if (open.includes('a') && link) link.label += text
    },
    onclosetag(name, implied) {
      assert.ok(!implied || ['br', 'p', 'html', 'body', 'meta'].includes(name), `<${name}> is not closed`)
      open.pop()
      if (['p', 'pre', 'h2'].includes(name)) seen.text += '\n'
    },
  })
  parser.write(source)
  parser.end()
  return seen
}

/** Its own tags, nested properly, and four entities: everything else is refused (https://core.telegram.org/bots/api#html-style). */
function telegram(source: string): Seen {
  const seen = emptySeen()
  const open: string[] = []
  const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"' }
  const rest = source.replace(
    /<(\/?)(\w+)(?: href="([^"<>]*)")?>|&(\w+);|[^<>&]+/g,
    (whole, closing, tag, href, entity) => {
      if (tag && closing) assert.equal(open.pop(), tag, `</${tag}> closes something else`)
      else if (tag) {
        assert.ok(['b', 'code', 'a'].includes(tag), `<${tag}> is not one of Telegram's`)
        open.push(tag)
        count(seen, tag)
        if (tag === 'a') seen.links.push({ label: '', url: String(href).replaceAll('&amp;', '&') })
      } else {
        const text = entity ? entities[entity] : whole
        assert.ok(text !== undefined, `&${entity}; is not one of Telegram's`)
        seen.text += text
        const link = seen.links.at(-1)
        if (open.includes('a') && link) link.label += text
      }
      return ''
    },
  )
  assert.deepEqual([rest, open], ['', []], "Telegram: can't parse entities")
  return seen
}

/** Slack's own (https://docs.slack.dev/messaging/formatting-message-text). */
function mrkdwn(source: string): Seen {
  const seen = emptySeen()
  const decoded = (text: string) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
  const fences = source.match(/```/g)?.length ?? 0
  if (fences > 0) seen.marks.fence = fences / 2
  seen.text = decoded(
    source.replaceAll('```', '').replace(/<([^<>]*)>/g, (_whole, inside: string) => {
      const [url = '', label = url] = inside.split(/\|(.*)/s)
      if (/^[!@#]/.test(url)) count(seen, 'mention')
      else seen.links.push({ label: decoded(label), url: decoded(url) })
      return label
    }),
  )
  // A line that is bold as a whole.
  seen.text = seen.text.replace(/^\*(.+)\*$/gm, '$1')
  assert.doesNotMatch(source, /&(?!(?:amp|lt|gt);)/, 'an ampersand that is not escaped')
  return seen
}

/** XML 1.0, read strictly. */
function xml(source: string): Seen {
  const seen = emptySeen()
  const parser = new SaxesParser()
  parser.on('error', (error) => assert.fail(error))
  parser.on('opentag', ({ name }) => count(seen, name))
  parser.on('text', (text) => {
    seen.text += text
  })
  parser.write(source).close()
  return seen
}

function plain(source: string): Seen {
  return { ...emptySeen(), text: source }
}

const emptySeen = (): Seen => ({ text: '', links: [], marks: {} })

function count({ marks }: Seen, name: string): void {
  marks[name] = (marks[name] ?? 0) + 1
}

/** The text without invisible characters. */
export const visible = (text: string) => text.replaceAll('\u200b', '').replaceAll('\u00a0', ' ')

/** Its lines, without blank ones and blanks around them. */
export const linesOf = (text: string) =>
  visible(text)
    .split('\n')
    .map((line) => line.replace(/ +/g, ' ').trim())
    .filter(Boolean)
