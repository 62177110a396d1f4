import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ConfigError, type ConfigSource, loadConfig } from '../../src/config/load.ts'

export type Env = Record<string, string>

export const key = 'ab'.repeat(32)
export const production: Env = {
  DEPLOYMENT_ENV: 'production',
  DATABASE_URL: 'postgres://flatline:pw@db.example.com/flatline?sslmode=verify-full',
  ENCRYPTION_KEY: key,
  ADMIN_TOKEN: 'admin-token-admin-token-admin-token',
}

export function problemsOf(env: Env, source: ConfigSource = {}): readonly string[] {
  try {
    loadConfig({ env, ...source })
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.problems
  }
}

export function directory(t: TestContext, files: Record<string, string> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'flatline-config-'))
  t.after(() => rmSync(path, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return path
}
