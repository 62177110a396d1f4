// The few pages that links in messages lead to: no script, no style, nothing from elsewhere.

import { printable } from '../core/characters.ts'

export function page(body: string): string {
  const head =
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Flatline</title><meta name="robots" content="noindex">'
  return `<!doctype html><html lang="en"><head>${head}</head><body>${body}</body></html>`
}

export function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
