import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { argument, copiedFromContext, problemsOf } from './dockerfile-policy.ts'

const root = new URL('../../..', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const dockerfile = read('Dockerfile')
const manifest = JSON.parse(read('package.json')) as { version: string; devDependencies: Record<string, string> }

test('the Dockerfile is well formed and follows every rule', () => {
  assert.deepEqual(problemsOf(dockerfile), [])
})

/** What a hurried change might do, and what is said about it. */
const defects: [change: (text: string) => string, problem: RegExp][] = [
  [(text) => `# syntax=docker/dockerfile:1\n${text}`, /asks? a registry/],
  [(text) => text.replace('STOPSIGNAL', 'STOPSIGNALS'), /Unknown instruction/],
  [(text) => text.replace('--interval=30s', '--intervall=30s'), /Unknown flag/],
  [(text) => text.replace('USER 1000:1000', 'USER node'), /by number/],
  [(text) => text.replace('USER 1000:1000', ''), /by number/],
  [(text) => text.replace('EXPOSE 8000', 'RUN chmod 777 /data\nEXPOSE 8000'), /after USER/],
  [(text) => text.replace('CMD ["node", "dist/server.js"]', 'CMD npm start'), /CMD is node/],
  [(text) => text.replace('ENTRYPOINT []', ''), /ENTRYPOINT is empty/],
  [(text) => text.replace('STOPSIGNAL SIGTERM', 'STOPSIGNAL SIGKILL'), /STOPSIGNAL is SIGTERM/],
  [(text) => text.replace('CMD ["node", "dist/cli.js", "healthcheck"]', 'CMD curl -f localhost:8000'), /HEALTHCHECK/],
  [(text) => text.replace(/ARG NODE_IMAGE=.*/, 'ARG NODE_IMAGE=node:latest'), /exact version/],
  [(text) => text.replace(/ARG NODE_IMAGE=.*/, 'ARG NODE_IMAGE=node:24-bookworm-slim'), /exact version/],
  [(text) => text.replace(/FROM .* AS build/, 'FROM node:24 AS build'), /every stage begins/],
  [(text) => text.replace('npm ci --ignore-scripts', 'npm install'), /obeys the lock file/],
  [(text) => text.replace('npm ci --ignore-scripts', 'npm ci'), /no install scripts/],
  [(text) => text.replace('ARG REVISION=unknown', 'ARG ADMIN_TOKEN=x'), /no secret/],
  [(text) => text.replace('COPY bin bin', 'ADD bin bin'), /COPY is meant/],
  [(text) => text.replace('install -d', 'apt-get install -y curl && install -d'), /nothing is fetched/],
]

for (const [change, problem] of defects) {
  test(`the check finds a defect: ${problem.source}`, () => {
    const changed = change(dockerfile)
    assert.ok(changed !== dockerfile, 'nothing was changed')
    assert.match(problemsOf(changed).join('\n'), problem)
  })
}

test('the base image has the Node.js of the project, and the label names its version', () => {
  assert.ok(argument(dockerfile, 'NODE_IMAGE').startsWith(`node:${manifest.devDependencies.node}-`))
  assert.equal(argument(dockerfile, 'VERSION'), manifest.version)
})

test('the build context contains exactly what is copied', () => {
  const ignore = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  const allowed = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  const copied = copiedFromContext(dockerfile)
  assert.equal(ignore[0], '*')
  const covers = (folder: string, path: string) => path === folder || path.startsWith(`${folder}/`)
  assert.deepEqual(
    copied.filter((path) => !allowed.some((folder) => covers(folder, path))),
    [],
  )
  assert.deepEqual(
    allowed.filter((folder) => !copied.includes(folder)),
    [],
  )
  assert.deepEqual(
    allowed.filter((path) => !existsSync(new URL(path, root))),
    [],
  )
})
