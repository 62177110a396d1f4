#!/usr/bin/env node
// In a checkout the sources run as they are; a published package holds only dist/, because Node strips no types below node_modules.
import { existsSync } from 'node:fs'

const source = new URL('../src/cli.ts', import.meta.url)
await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href)
