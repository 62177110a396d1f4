// The calls on definitions: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, json, nullable, ref, refusals, withExample } from '../../http/schemas/api-schema.ts'
import { exampleCheck } from '../../http/schemas/examples.ts'
import { checkExample, extensions, schedule, settings } from '../api-schema.ts'
import type { AppliedCheck } from './applying.ts'
import type { DefinitionDocument } from './definition.ts'

const checksMax = 10_000

const Definition = Type.Object(
  {
    ...Object.fromEntries(Object.entries(settings).map(([name, schema]) => [name, Type.Optional(schema)])),
    ...schedule,
    ...extensions,
    uuid: Type.Optional(
      Type.String({
        description: 'The uuid of the check, also of a new one; without it the slug or the name identifies the check',
      }),
    ),
    badge_key: Type.Optional(Type.String({ description: 'The uuid in the address of its badge' })),
    channels: Type.Optional(
      Type.Union([Type.Literal('*'), Type.Array(Type.String())], { description: 'Ids and names' }),
    ),
    paused: Type.Optional(Type.Boolean({ description: 'Whether it is paused' })),
  },
  {
    ...closed,
    description:
      'A uuid, a slug or a name is needed. A missing field gets its default, except channels, paused and paused_until, which stay unchanged.',
  },
)

const Changed = Type.Object({}, { additionalProperties: true })
const ApplyResult = Type.Object(
  {
    index: Type.Union([Type.Integer(), Type.Null()]),
    uuid: nullable('uuid of the check; null for one that was refused'),
    name: Type.String(),
    action: Type.String({ enum: ['created', 'updated', 'unchanged', 'deleted', 'failed'] }),
    changes: Type.Optional(Type.Object({ before: Changed, after: Changed }, closed)),
    error: Type.Optional(Type.String()),
  },
  closed,
)

export const definitionSchemas = { Definition, ApplyResult }

const definition = {
  uuid: exampleCheck,
  badge_key: '5e5a2f0e-7d5f-4a5e-8f5a-3a1f0d2b7c11',
  name: checkExample.name,
  slug: checkExample.slug,
  tags: checkExample.tags,
  grace: 600,
  max_runtime: 600,
  schedule: '15 3 * * *',
  tz: 'Europe/Riga',
  channels: ['on call'],
}

export const exportDefinitions = {
  operationId: 'exportDefinitions',
  tags: ['definitions'],
  summary: 'All checks as documents; a missing field has its default',
  response: {
    200: json('The checks', Type.Object({ checks: Type.Array(ref<DefinitionDocument>('Definition')) }), {
      checks: [definition],
    }),
  },
  refusals: refusals(401, 429),
}

/** Each document is validated on its own (definition-schema.ts), so that an invalid one does not affect the others. */
const Body = Type.Object(
  {
    checks: Type.Array(Type.Unknown(), { maxItems: checksMax }),
    dry_run: Type.Boolean({ default: false }),
    prune: Type.Boolean({ default: false }),
  },
  closed,
)
const DescribedBody = Type.Object(
  {
    checks: Type.Array(ref('Definition'), { maxItems: checksMax }),
    dry_run: Type.Optional(Type.Boolean({ description: 'Report what would change, and change nothing' })),
    prune: Type.Optional(Type.Boolean()),
  },
  closed,
)

export const applyDefinitions = {
  operationId: 'applyDefinitions',
  tags: ['definitions'],
  summary: 'Apply documents to checks',
  description:
    'Each document applies to the check with its uuid, else with its slug, else with its name, else to a new one. A refused document does not affect the others. `prune` deletes checks without a document, unless one was refused. `parent` refers to a check by uuid, slug or name, `channels` are ids and names.',
  body: Body,
  described: {
    body: withExample(DescribedBody, {
      checks: [{ name: 'nightly backup', schedule: '15 3 * * *', grace: 600 }],
      dry_run: true,
    }),
  },
  response: {
    200: json(
      'The results, in the order of the documents',
      Type.Object({
        results: Type.Array(ref<AppliedCheck>('ApplyResult')),
        summary: Type.Record(Type.String(), Type.Integer()),
        dry_run: Type.Boolean(),
        pruned: Type.Boolean({ description: 'Whether checks without a document were deleted' }),
      }),
      {
        results: [
          {
            index: 0,
            uuid: exampleCheck,
            name: 'nightly backup',
            action: 'updated',
            changes: { before: { grace: 3600 }, after: { grace: 600 } },
          },
        ],
        summary: { created: 0, updated: 1, unchanged: 0, deleted: 0, failed: 0 },
        dry_run: true,
        pruned: false,
      },
    ),
  },
  refusals: refusals(400, 401, 413, 429),
}
