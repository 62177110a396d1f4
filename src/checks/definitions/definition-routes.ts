import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AppError } from '../../core/errors.ts'
import { sendList } from '../../http/body/json-list.ts'
import { shareSchemas } from '../../http/schemas/api-schema.ts'
import type { Checks } from '../service.ts'
import type { Definition } from './definition.ts'
import { applyDefinitions, definitionSchemas, exportDefinitions } from './definition-api-schema.ts'
import { parseDefinition } from './definition-schema.ts'

const bodyLimit = 8_388_608
/** Validating this many blocks the event loop for some milliseconds. */
const sliceSize = 200

type Read = { definition: Definition } | { name: string; error: string }

/** Exports and imports a project's checks as documents, for files. */
export const definitionRoutes: FastifyPluginAsyncTypebox<{
  checks: Pick<Checks, 'definitions' | 'apply'>
}> = async (app, { checks }) => {
  shareSchemas(app, definitionSchemas)

  for (const slash of ['', '/']) {
    const undocumented = slash === ''
    const read = { requires: 'definitions:read', undocumented } as const
    const write = { requires: 'checks:write', undocumented } as const
    const url = `/api/v3/definitions${slash}`

    app.get(url, { exposeHeadRoute: false, config: read, schema: exportDefinitions }, async (request, reply) =>
      sendList(reply, 'checks', checks.definitions(request.caller.projectId)),
    )

    app.post(url, { bodyLimit, config: write, schema: applyDefinitions }, async (request) => {
      const { checks: documents, dry_run: dryRun, prune } = request.body
      if (prune && documents.length === 0)
        throw new AppError('bad_request', 'checks is empty: pruning would delete every check', { field: 'checks' })
      return checks.apply(request.caller, await readAll(documents), { dryRun, prune })
    })
  }
}

async function readAll(documents: readonly unknown[]): Promise<Read[]> {
  const all: Read[] = []
  for (let at = 0; at < documents.length; at += sliceSize) {
    all.push(...documents.slice(at, at + sliceSize).map(read))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return all
}

function read(document: unknown): Read {
  try {
    return { definition: parseDefinition(document) }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const name = (document as { name?: unknown } | null)?.name
    return { name: typeof name === 'string' ? name.slice(0, 100) : '', error: error.message }
  }
}
