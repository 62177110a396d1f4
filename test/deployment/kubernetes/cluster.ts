// A fake Kubernetes cluster behind kubectl, for deploy.sh: its commands change its answers.

import { readFileSync } from 'node:fs'
import { failed, type Said, said } from '../stand-in.ts'

export const usual = {
  allowed: true,
  /** Whether a dry run on the server finds nothing wrong. */
  accepts: true,
  /** Whether there is a Deployment already. */
  runs: true,
  /** Whether there is a revision to go back to. */
  undoes: true,
  revision: 7,
  /** The versions of the Deployments flatline and flatline-green; empty if there is none. */
  blue: '0.1.0',
  before: '',
  green: '',
  /** The hash that the Service is frozen on. */
  frozenOn: '',
  /** How a Job ends. */
  job: 'Complete',
  /** Versions whose roll-out does not end, and whose pods are not ready. */
  broken: [] as string[],
  unready: [] as string[],
  /** Whether heartbeats and alerts get through a pod. */
  works: true,
  backup: Buffer.of() as Buffer,
  secret: {} as Record<string, string>,
  applied: [] as { selector: string; manifest: string }[],
}

export type Cluster = typeof usual

/** `args` without the namespace and the context. */
export function kubectl(cluster: Cluster, args: string[]): Said {
  const text = args.join(' ')
  const option = (name: string) => (args.includes(name) ? (args[args.indexOf(name) + 1] ?? '') : '')
  const isGreen = /instance=green/.test(option('--selector'))

  if (text === 'config current-context') return said('stand-in\n')
  if (text.startsWith('auth can-i')) return cluster.allowed ? said('yes\n') : failed('no\n')
  if (text.startsWith('get')) return get(cluster, args, isGreen ? 'green' : 'blue')
  if (text.startsWith('logs')) return said('the log of the job\n')
  if (text.startsWith('apply')) {
    const manifest = readFileSync(option('--filename'), 'utf8')
    if (text.includes('--dry-run=server')) return cluster.accepts ? said() : failed('error: admission denied\n')
    return apply(cluster, manifest, option('--selector'), isGreen)
  }
  if (text.startsWith('create job')) return said()
  if (text.startsWith('rollout status')) {
    const version = args[2] === 'deployment/flatline' ? cluster.blue : cluster.green
    return cluster.broken.includes(version) ? failed('error: timed out waiting for the condition\n') : said()
  }
  if (text.startsWith('rollout undo')) {
    if (!cluster.undoes) return failed('error: no rollout history found\n')
    cluster.blue = cluster.before || cluster.blue
    return said()
  }
  if (text.startsWith('patch service')) {
    const [{ op, value = '' }] = JSON.parse(option('--patch'))
    cluster.frozenOn = op === 'remove' ? '' : value
    return said()
  }
  if (text.startsWith('delete deployment')) {
    cluster.green = ''
    return said()
  }
  if (text.startsWith('exec')) return exec(cluster, text, args[1]?.startsWith('green') ? cluster.green : cluster.blue)
  return failed(`not known here: ${text}\n`)
}

function get(cluster: Cluster, args: string[], color: 'blue' | 'green'): Said {
  const text = args.join(' ')
  if (args[1] === 'secret') {
    const lines = Object.entries(cluster.secret).map(([key, value]) => `${text.includes('$key') ? key : value}\n`)
    return said(lines.join(''))
  }
  if (args[1] === 'deployment') {
    if (args[2] === 'flatline' ? !cluster.runs : cluster.green === '') return failed('Error from server (NotFound)\n')
    return said(text.includes('revision') ? String(cluster.revision) : text.includes('readyReplicas') ? '3' : '')
  }
  if (args[1] === 'service') return said(cluster.frozenOn)
  if (args[1] === 'job') return said(cluster.job)
  if (text.includes('pod-template-hash')) return said(`hash-${color}`)
  return said([1, 2, 3].map((number) => `${color}-${number}\n`).join(''))
}

function apply(cluster: Cluster, manifest: string, selector: string, isGreen: boolean): Said {
  cluster.applied.push({ selector, manifest })
  const version = /image: \S+:(\d[\d.]*)/.exec(manifest)?.[1] ?? ''
  if (isGreen) cluster.green = version
  if (selector !== '') return said()
  cluster.runs = true
  cluster.before = cluster.blue
  cluster.blue = version
  cluster.revision++
  return said()
}

function exec(cluster: Cluster, text: string, version: string): Said {
  if (text.endsWith('backup -')) return cluster.backup.length > 0 ? said(cluster.backup) : failed('no such command\n')
  if (text.includes('dist/cli.js verify')) return cluster.works ? said('passed\n') : failed('no flip\n')
  if (text.endsWith('healthcheck')) return cluster.unready.includes(version) ? failed('not ready\n') : said('ready\n')
  return said(`${version}\n`)
}
