// The environment that a pod would start with, put together as the kubelet does.

import { randomBytes } from 'node:crypto'
import { find, type Manifest, type Node, type Workload } from './kustomize.ts'

export type Environment = Record<string, string>

/** Values of secrets as README.md has them made; one value for each, however often it is used. */
export function createSecrets(): (name: string, key: string) => string {
  const values = new Map<string, string>()
  const bytes: Record<string, number> = {
    BOOTSTRAP_API_KEY: 16,
    BOOTSTRAP_API_KEY_READONLY: 16,
    BOOTSTRAP_PING_KEY: 11,
  }
  return (name, key) => {
    const id = `${name}/${key}`
    const value = values.get(id) ?? randomBytes(bytes[key] ?? 32).toString('hex')
    values.set(id, value)
    return value
  }
}

export function environmentOf(
  documents: Manifest[],
  { pod }: Workload,
  secret: (name: string, key: string) => string,
): Environment {
  const [{ env, envFrom }] = pod.containers
  const result: Environment = {}
  for (const { configMapRef } of envFrom) Object.assign(result, find(documents, 'ConfigMap', configMapRef.name).data)
  for (const { name, value, valueFrom } of env as Node[]) {
    if (valueFrom) {
      const { name: of, key, optional } = valueFrom.secretKeyRef
      if (!optional) result[name] = secret(of, key)
    } else result[name] = value.replace(/\$\(([^)]+)\)/g, (_: string, earlier: string) => result[earlier])
  }
  return result
}
