// The image of this checkout, built once for all files of a test run by whichever needs it first. No registry is asked: the base
// is a stand-in, Debian's minimal system with this Node.js and npm, which is kept in the user's cache for the next run.

import { access, copyFile, cp, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { eventually } from '../../helper.ts'
import { removeEngineDir, run } from '../containers.ts'

const root = new URL('../../..', import.meta.url).pathname

export const imageName = 'localhost/flatline:test'

/** What building takes, for `needsContainers`. */
export const buildTools = ['buildah', 'mmdebstrap']

/** Debian's packages in the stand-in: what Node.js needs, and what stands in for the other images of docker-compose.yml. */
const packages = ['ca-certificates', 'libstdc++6', 'haproxy', 'redis-server', 'wget']

const buildTimeoutMs = 480_000

/** The path of an archive, as `docker save` writes them, that holds the image as `imageName`. */
export async function builtImage(): Promise<string> {
  const shared = process.env.TEST_SCRATCH
  if (shared === undefined) throw new Error('run tests through test/run.ts: npm test, or node test/run.ts FILE')
  const directory = join(shared, 'image')
  const archive = join(directory, 'flatline.tar')
  const failure = join(directory, 'failure')
  const isFirst = await mkdir(directory).then(
    () => true,
    () => false,
  )
  if (isFirst) {
    await buildInto(directory, archive).catch(async (error: Error) => {
      await writeFile(failure, error.message)
      throw error
    })
  }
  const outcome = await eventually(
    'the image to be built',
    async () => ((await exists(archive)) ? 'built' : (await exists(failure)) && 'failed'),
    buildTimeoutMs,
  )
  if (outcome === 'failed') throw new Error(await readFile(failure, 'utf8'))
  return archive
}

async function buildInto(directory: string, archive: string): Promise<void> {
  const storage = join(directory, 'storage')
  const buildah = await createBuildah(storage)
  try {
    const base = await standInBase(buildah, join(directory, 'base'))
    // The bundle of a proxy that replaces certificates, where there is one.
    const bundle = process.env.NODE_EXTRA_CA_CERTS
    const secrets = bundle ? [`--secret=id=ca,src=${bundle}`] : []
    await buildah(['bud', ...how, ...secrets, `--build-arg=NODE_IMAGE=${base}`, '--tag', imageName, root])
    await buildah(['push', imageName, `docker-archive:${archive}.part:${imageName}`])
    await rename(`${archive}.part`, archive)
  } finally {
    await removeEngineDir(storage)
  }
}

const how = ['--isolation=chroot', '--format=docker', '--pull-never']

type Buildah = (args: string[]) => Promise<string>

async function createBuildah(storage: string): Promise<Buildah> {
  const temporary = join(storage, 'tmp')
  await mkdir(temporary, { recursive: true })
  const where = [`--root=${storage}/root`, `--runroot=${storage}/run`, '--storage-driver=overlay']
  return (args) => run('buildah', [...where, ...args], { env: { TMPDIR: temporary }, timeoutMs: buildTimeoutMs })
}

/** Loads the stand-in from the cache, or makes it; returns its name. */
async function standInBase(buildah: Buildah, context: string): Promise<string> {
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? 'stable'
  const name = `localhost/node-stand-in:${process.versions.node}-${suite}`
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'flatline-tests')
  const cached = join(cache, `node-${process.versions.node}-${suite}-${packages.join('-')}.tar`)
  if (await exists(cached)) {
    await buildah(['pull', `docker-archive:${cached}`])
    return name
  }
  await mkdir(context)
  await mkdir(cache, { recursive: true })
  await debianInto(join(context, 'debian.tar'), suite)
  await copyFile(process.execPath, join(context, 'node'))
  await cp(await npmDirectory(), join(context, 'npm'), { recursive: true })
  // As in the real one, the entry point is a shell script and npm is there.
  await writeFile(join(context, 'docker-entrypoint.sh'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  await writeFile(
    join(context, 'Dockerfile'),
    `FROM scratch
ADD debian.tar /
COPY node docker-entrypoint.sh /usr/local/bin/
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node"]
`,
  )
  await buildah(['bud', ...how, '--tag', name, context])
  const part = `${cached}.${process.pid}.part`
  await buildah(['push', name, `docker-archive:${part}:${name}`])
  await rename(part, cached)
  await rm(context, { recursive: true })
  return name
}

async function debianInto(archive: string, suite: string): Promise<void> {
  const sources = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'])
  const mirror = sources.split('\n').find((uri) => /\/debian\/?$/.test(uri))
  const slim = ['doc', 'man', 'locale', 'info'].map((part) => `--dpkgopt=path-exclude=/usr/share/${part}/*`)
  const include = `--include=${packages.join(',')}`
  await run('mmdebstrap', [
    '--quiet',
    '--variant=minbase',
    include,
    ...slim,
    suite,
    archive,
    ...(mirror ? [mirror] : []),
  ])
}

async function npmDirectory(): Promise<string> {
  const found = await run('sh', ['-c', 'command -v npm'])
  return dirname(dirname(await realpath(found.trim())))
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
