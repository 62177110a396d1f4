// What a reader of an HTML page sees, as plain text: white space becomes one blank, blocks begin a line, hidden text is
// left out. htmlparser2's parser, which html-to-text uses, takes seconds for a megabyte of unclosed tags; its tokenizer
// needs one pass.

import { Tokenizer } from 'htmlparser2'

const wordsOf = (text: string) => new Set(text.split(' '))

const unseen = wordsOf('script style title template')
/** Each of these begins a new line. */
const blocks = wordsOf(
  'address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr ' +
    'html li main nav ol p pre section summary table tbody tfoot thead tr ul',
)
/** Each of these also has an empty line before and after it. */
const apart = wordsOf('blockquote dl h1 h2 h3 h4 h5 h6 ol p pre table ul')
/** A blank separates these from their neighbours. */
const cells = wordsOf('td th option')
/** Elements without an end tag, and so without content. */
const empty = wordsOf('area base br col embed hr img input link meta param source track wbr')

const hiding = /(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden)/i
const invisible = /[\u00ad\u200b-\u200d\u2060\ufeff]/g

/** Renders `html` in one pass, in time proportional to its length. */
export function renderedText(html: string): string {
  const page = createPage()
  let hiddenBy: { name: string; depth: number } | null = null
  let tag = ''
  let hides = false
  let attribute = ''
  let value = ''
  const show = (text: string) => {
    if (hiddenBy === null) page.text(text)
  }
  const close = () => {
    if (hiddenBy?.name === tag && !empty.has(tag)) hiddenBy.depth++
    if (hiddenBy === null && hides && !empty.has(tag)) hiddenBy = { name: tag, depth: 1 }
    if (hiddenBy === null) page.open(tag)
  }
  const tokenizer = new Tokenizer(
    { decodeEntities: true },
    {
      onopentagname(start, end) {
        tag = html.slice(start, end).toLowerCase()
        hides = unseen.has(tag)
      },
      onattribname(start, end) {
        attribute = html.slice(start, end).toLowerCase()
        value = ''
      },
      onattribdata(start, end) {
        if (attribute === 'style') value += html.slice(start, end)
      },
      onattribentity(codepoint) {
        if (attribute === 'style') value += String.fromCodePoint(codepoint)
      },
      onattribend() {
        if (attribute === 'hidden' || (attribute === 'style' && hiding.test(value))) hides = true
      },
      onopentagend: close,
      onselfclosingtag: close,
      onclosetag(start, end) {
        const name = html.slice(start, end).toLowerCase()
        if (hiddenBy === null) page.close(name)
        else if (hiddenBy.name === name && --hiddenBy.depth === 0) hiddenBy = null
      },
      ontext: (start, end) => show(html.slice(start, end)),
      ontextentity: (codepoint) => show(String.fromCodePoint(codepoint)),
      oncdata: nothing,
      oncomment: nothing,
      ondeclaration: nothing,
      onend: nothing,
      onprocessinginstruction: nothing,
    },
  )
  tokenizer.write(html)
  tokenizer.end()
  return page.toString()
}

function nothing(): void {
  return
}

/** Collects lines of text. */
function createPage() {
  const lines: string[] = []
  let line: string[] = []
  let preformatted = 0

  function endLine(): void {
    lines.push(line.join('').replace(/ {2,}/g, ' ').replace(/^ | $/g, ''))
    line = []
  }

  function begin(name: string): void {
    if (!blocks.has(name)) return
    if (line.some((text) => text !== ' ')) endLine()
    else line = []
    if (apart.has(name) && lines.length > 0 && lines.at(-1) !== '') lines.push('')
  }

  return {
    text(text: string): void {
      if (preformatted === 0) line.push(text.replace(/[ \t\r\n\f]+/g, ' '))
      else {
        // Preformatted blanks are kept as no-break spaces until the end.
        const [first = '', ...more] = text.replaceAll('\r\n', '\n').replaceAll(' ', '\u00a0').split('\n')
        line.push(first)
        for (const next of more) {
          endLine()
          line.push(next)
        }
      }
    },
    open(name: string): void {
      begin(name)
      if (name === 'br') endLine()
      else if (name === 'pre') preformatted++
      else if (cells.has(name)) line.push(' ')
    },
    close(name: string): void {
      begin(name)
      if (name === 'pre' && preformatted > 0) preformatted--
      else if (cells.has(name)) line.push(' ')
    },
    toString(): string {
      endLine()
      return lines.join('\n').replaceAll('\u00a0', ' ').replace(invisible, '').trim()
    },
  }
}
