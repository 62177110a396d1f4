// Whether Kubernetes, and the operators that define their own kinds, would accept these documents. There are two
// checks, because each finds only some mistakes: the models validate formats (quantities, durations, patterns) but
// accept a misspelt optional field; the compiler knows every field and no format.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { Errors } from 'typebox/value'
import type { Manifest } from './kubernetes/kustomize.ts'

/** By the index of the document, what is wrong with it. */
export type Findings = Map<number, string[]>

const root = join(import.meta.dirname, '../..')

/** Kinds whose models are in a package of their own; all others are in Kubernetes itself. */
const packages: Record<string, string> = {
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'postgresql.cnpg.io': '@kubernetes-models/cloudnative-pg',
  'external-secrets.io': '@kubernetes-models/external-secrets',
  'traefik.io': '@kubernetes-models/traefik',
}

const SecretKey = Type.Object({ name: Type.String(), key: Type.String() }, { additionalProperties: false })
const encryption = Type.Optional(Type.Enum(['AES256', 'aws:kms']))
const jobs = Type.Optional(Type.Integer({ minimum: 1 }))

/** Of the Barman Cloud plugin nobody has published a model. The part of its definition (v1) that is used here, and nothing else. */
const ObjectStore = Type.Object(
  {
    apiVersion: Type.Literal('barmancloud.cnpg.io/v1'),
    kind: Type.Literal('ObjectStore'),
    metadata: Type.Object({ name: Type.String() }),
    spec: Type.Object(
      {
        retentionPolicy: Type.Optional(Type.String({ pattern: '^[1-9][0-9]*[dwm]$' })),
        configuration: Type.Object(
          {
            destinationPath: Type.String({ minLength: 1 }),
            endpointURL: Type.Optional(Type.String()),
            s3Credentials: Type.Object(
              { accessKeyId: SecretKey, secretAccessKey: SecretKey },
              { additionalProperties: false },
            ),
            wal: Type.Object(
              {
                compression: Type.Optional(Type.Enum(['bzip2', 'gzip', 'lz4', 'snappy', 'xz', 'zstd'])),
                encryption,
                maxParallel: jobs,
              },
              { additionalProperties: false },
            ),
            data: Type.Optional(
              Type.Object(
                { compression: Type.Optional(Type.Enum(['bzip2', 'gzip', 'snappy'])), encryption, jobs },
                { additionalProperties: false },
              ),
            ),
          },
          { additionalProperties: false },
        ),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

const isObjectStore = ({ apiVersion, kind }: Manifest) =>
  `${apiVersion}/${kind}` === 'barmancloud.cnpg.io/v1/ObjectStore'

/** Required fields, types, choices and formats. Misspelt optional fields pass. */
export async function checkModels(documents: Manifest[]): Promise<Findings> {
  const findings: Findings = new Map()
  for (const [index, document] of documents.entries()) {
    const problem = isObjectStore(document) ? schemaProblem(document) : await modelProblem(document)
    if (problem) findings.set(index, [problem])
  }
  return findings
}

function schemaProblem(document: Manifest): string | undefined {
  const [error] = Errors(ObjectStore, document)
  return error && `${error.instancePath} ${error.message}`
}

async function modelProblem(document: Manifest): Promise<string | undefined> {
  const model = (await import(moduleOf(document)))[document.kind] as new (data: object) => { validate(): void }
  try {
    new model(document).validate()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** Every field must exist, and have the right type. Formats of text are unknown here. One run of the compiler for all documents. */
export function checkTypes(documents: Manifest[]): Findings {
  const dir = mkdtempSync(join(tmpdir(), 'flatline-manifests-'))
  try {
    symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
    const typed = [...documents.entries()].filter(([, document]) => !isObjectStore(document))
    for (const [index, document] of typed) {
      const { kind } = document
      const source = `import type { I${kind} } from '${moduleOf(document)}'\nexport const it: I${kind} = ${JSON.stringify(document, null, 2)}\n`
      writeFileSync(join(dir, `${index}.ts`), source)
    }
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
    return compile(dir)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

const compilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  module: 'NodeNext',
  moduleResolution: 'NodeNext',
  preserveSymlinks: true,
  types: [],
}

function compile(dir: string): Findings {
  const findings: Findings = new Map()
  const tsc = join(root, 'node_modules/.bin/tsc')
  try {
    execFileSync(tsc, ['-p', dir, '--pretty', 'false'], { cwd: dir, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    const { stdout } = error as { stdout: string }
    for (const [, index, problem] of stdout.matchAll(/^(\d+)\.ts\(\d+,\d+\): error (.*)$/gm)) {
      findings.set(Number(index), [...(findings.get(Number(index)) ?? []), problem as string])
    }
    if (findings.size === 0) throw error
  }
  return findings
}

function moduleOf({ apiVersion, kind }: Manifest): string {
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] as string) : ''
  return `${packages[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`
}
