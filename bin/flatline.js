#!/usr/bin/env node
// In a checkout the sources run as they are; a published package holds only dist/, because Node strips no types below node_modules.
import { existsSync } from 'node:fs'

const [oldestMajor, oldestMinor] = [22, 19]
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
  console.error(`flatline needs Node.js ${oldestMajor}.${oldestMinor} or newer, and this is ${process.version}`)
  process.exit(1)
}

const source = new URL('../src/cli.ts', import.meta.url)
await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href)
