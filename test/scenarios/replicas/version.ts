// Another version of the service, as a release would be: a copy of the sources with a version number and migrations of its own.

import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { scratchDir } from '../../helper.ts'

const root = join(import.meta.dirname, '../../..')
const parts = ['src', 'prisma', 'config', 'package.json']

/** `migrations` by name, later than all that there are. Returns where its sources lie. */
export async function makeVersion(
  t: TestContext,
  version: string,
  migrations: Record<string, string>,
): Promise<string> {
  const dir = await scratchDir(t)
  for (const part of parts) await cp(join(root, part), join(dir, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'))
  const about = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'))
  await writeFile(join(dir, 'package.json'), JSON.stringify({ ...about, version }))
  for (const [name, sql] of Object.entries(migrations)) {
    await mkdir(join(dir, 'prisma/migrations', name))
    await writeFile(join(dir, 'prisma/migrations', name, 'migration.sql'), sql)
  }
  return dir
}
