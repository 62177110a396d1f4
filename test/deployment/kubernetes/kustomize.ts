// The manifests as `kubectl apply -k` would send them, and what tests look up in them.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { needsTool } from '../../tools.ts'

export const manifests = join(import.meta.dirname, '../../../k8s')
export const overlays = ['staging', 'production', 'disaster-recovery'] as const

/** For tests that render. */
export const rendering = { skip: needsTool('kubectl') }

/** As deep as the YAML goes; tests that reach for what is not there fail on it. */
// biome-ignore lint/suspicious/noExplicitAny: documents of two dozen kinds; the models check their types
export type Node = any

export type Manifest = {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Labels; annotations?: Labels }
  spec?: Node
  data?: Labels
}

export type Labels = Record<string, string>

const rendered = new Map<string, Manifest[]>()

/** The documents of `k8s/overlays/<name>`. Callers must not change them. */
export function overlay(name: string): Manifest[] {
  const known = rendered.get(name)
  if (known) return known
  const documents = render(join(manifests, 'overlays', name))
  rendered.set(name, documents)
  return documents
}

export function render(dir: string): Manifest[] {
  return parse(execFileSync('kubectl', ['kustomize', dir], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }))
}

export function parse(yaml: string): Manifest[] {
  return parseAllDocuments(yaml).map((document) => {
    const [error] = document.errors
    if (error) throw error
    return document.toJS({ maxAliasCount: 1000 })
  })
}

/** The one document of this kind and name. */
export function find(documents: Manifest[], kind: string, name: string): Manifest {
  const found = documents.filter((document) => document.kind === kind && document.metadata.name === name)
  if (found.length !== 1) throw new Error(`${found.length} documents are ${kind}/${name}`)
  return found[0] as Manifest
}

export function ofKind(documents: Manifest[], kind: string): Manifest[] {
  return documents.filter((document) => document.kind === kind)
}

export const nameOf = ({ kind, metadata }: Manifest) => `${kind}/${metadata.name}`

/** What a workload makes pods from. */
function podTemplate({ kind, spec }: Manifest): Node | undefined {
  if (kind === 'CronJob') return spec.jobTemplate.spec.template
  return ['Deployment', 'StatefulSet', 'DaemonSet', 'Job'].includes(kind) ? spec.template : undefined
}

export type Workload = { manifest: Manifest; labels: Labels; pod: Node }

export function workloads(documents: Manifest[]): Workload[] {
  return documents.flatMap((manifest) => {
    const template = podTemplate(manifest)
    return template ? [{ manifest, labels: template.metadata.labels, pod: template.spec }] : []
  })
}

export type Selector = {
  matchLabels?: Labels
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

/** Whether a label selector of Kubernetes selects something with these labels. An empty one selects everything. */
export function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      if (operator === 'In') return values.includes(labels[key] ?? '')
      if (operator === 'NotIn') return !values.includes(labels[key] ?? '')
      if (operator === 'Exists') return key in labels
      if (operator === 'DoesNotExist') return !(key in labels)
      throw new Error(`unknown operator ${operator}`)
    })
  )
}
