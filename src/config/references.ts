// Secrets that another file names instead of containing them: `{ env: NAME }` or `{ file: /path }`. This also reads the
// environment, at the start of the process.

import { resolve } from 'node:path'
import { readConfigFile, secretMaxBytes } from './files.ts'

export type SecretReference = { env: string } | { file: string }

export function isReference(value: unknown): value is SecretReference {
  if (typeof value !== 'object' || value === null) return false
  const [[name, text] = [], ...others] = Object.entries(value)
  return others.length === 0 && (name === 'env' || name === 'file') && typeof text === 'string'
}

/** `problem` says which variable or file is missing. As in other files of secrets, a newline at the end is cut off. */
export function readReference(reference: SecretReference): { value: string } | { problem: string } {
  if ('env' in reference) {
    const value = process.env[reference.env]
    if (value) return { value }
    const state = value === undefined ? 'not set' : 'empty'
    return { problem: `needs the environment variable ${reference.env}, which is ${state}` }
  }
  const content = readConfigFile(resolve(reference.file), secretMaxBytes)
  if (typeof content !== 'string') return { problem: `needs the file ${reference.file}, which ${content.problem}` }
  const value = content.replace(/\r?\n$/, '')
  return value ? { value } : { problem: `needs the file ${reference.file}, which is empty` }
}
