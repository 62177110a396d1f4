// The few pages behind the links in messages: no script, nothing from elsewhere, one style sheet for light and dark
// schemes and narrow screens, which the content security policy allows by its hash.

import { createHash } from 'node:crypto'
import { printable } from '../kit/characters.ts'

const style =
  ':root{color-scheme:light dark}' +
  'body{max-width:36rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}' +
  'h1{font-size:1.5rem;line-height:1.25;margin-bottom:0}h1+p{margin-top:.25rem}h2{font-size:1.125rem}' +
  'form{display:inline-block;margin:0 .5rem .5rem 0}button{font:inherit;padding:.5rem 1rem;min-height:2.75rem}' +
  'dt{font-weight:bold}dd{margin:0 0 .5rem;white-space:pre-line}'

export const pagePolicy =
  `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; form-action 'self'; ` +
  "base-uri 'none'; frame-ancestors 'none'"

/** A page; `body` is HTML. */
export function page(body: string): string {
  const head =
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Flatline</title>' +
    `<meta name="robots" content="noindex"><style>${style}</style>`
  return `<!doctype html><html lang="en"><head>${head}</head><body>${body}</body></html>\n`
}

/** The beginning of a page that is about a check or another object of a project. */
export function heading(subject: string, project: string): string {
  return `<h1>${escaped(subject)}</h1><p>Project ${escaped(project)}</p>`
}

/** A button; without `action` it posts to the address of the page. */
export function button(label: string, action?: string): string {
  const target = action === undefined ? '' : ` action="${escaped(action)}"`
  return `<form method="post"${target}><button>${escaped(label)}</button></form>`
}

export function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
