// For the image: makes the optional packages of package.json ordinary dependencies, so that npm installs them, as locked.

import { readFileSync, writeFileSync } from 'node:fs'

const {
  peerDependencies,
  peerDependenciesMeta: _,
  devDependencies,
  ...manifest
} = JSON.parse(readFileSync('package.json', 'utf8'))
const others = Object.entries(devDependencies).filter(([name]) => !(name in peerDependencies))
Object.assign(manifest.dependencies, peerDependencies)
writeFileSync('package.json', JSON.stringify({ ...manifest, devDependencies: Object.fromEntries(others) }))
