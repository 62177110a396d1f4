// For the image: makes the optional packages of package.json ordinary dependencies, there and in package-lock.json, so that
// `npm ci` installs them as locked.

import { readFileSync, writeFileSync } from 'node:fs'

const read = (file) => JSON.parse(readFileSync(file, 'utf8'))
const manifest = read('package.json')
const lock = read('package-lock.json')

for (const one of [manifest, lock.packages['']]) {
  const { peerDependencies } = one
  Object.assign(one.dependencies, peerDependencies)
  for (const name of Object.keys(peerDependencies)) delete one.devDependencies[name]
  delete one.peerDependencies
  delete one.peerDependenciesMeta
}
// npm finds out again which packages only development needs.
for (const one of Object.values(lock.packages)) delete one.dev

writeFileSync('package.json', JSON.stringify(manifest))
writeFileSync('package-lock.json', JSON.stringify(lock))
