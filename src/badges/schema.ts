// The calls about badges: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, healthchecksRefusals, json, nothing, ref, withExample } from '../http/schemas/api-schema.ts'
import { exampleProject, exampleSite } from '../http/schemas/examples.ts'
import type { ApiVersion } from '../http/schemas/healthchecks-api.ts'
import { uuidPattern } from '../kit/identifier.ts'

const formats = ['svg', 'svg3', 'json', 'json3', 'shields', 'shields3']
const BadgeUrls = Type.Object(Object.fromEntries(formats.map((format) => [format, Type.String()])), closed)

export const badgeSchemas = { BadgeUrls }

const address = (format: string) => {
  const file = format.endsWith('3') ? `eSzysSXX.${format.slice(0, -1)}` : `eSzysSXX-2.${format}`
  return `${exampleSite}/badge/${exampleProject}/${file}`
}
const example = Object.fromEntries(formats.map((format) => [format, address(format)]))

export const listBadges = (version: ApiVersion) => ({
  operationId: version === 3 ? 'listBadges' : `listBadgesV${version}`,
  tags: ['badges'],
  summary: 'Addresses of the badges of all checks and of each tag',
  ...(version < 3 && { deprecated: true }),
  response: {
    200: json(
      'The addresses by tag, `*` for all checks; formats with a 3 have a third state, `late`',
      Type.Object({ badges: Type.Record(Type.String(), ref<Record<string, string>>('BadgeUrls')) }),
      { badges: { '*': example } },
    ),
  },
  refusals: healthchecksRefusals(401, 429),
})

const counts = Type.Object({
  status: Type.String({ enum: ['up', 'late', 'down'] }),
  total: Type.Integer(),
  grace: Type.Integer(),
  down: Type.Integer(),
})
const shields = Type.Object({
  schemaVersion: Type.Integer(),
  label: Type.String(),
  message: Type.String(),
  color: Type.String(),
})
const badge = {
  tags: ['badges'],
  response: {
    200: {
      description: 'The badge in the format at the end of the address: svg, json or shields',
      content: {
        'image/svg+xml': { schema: Type.String(), example: '<svg xmlns="http://www.w3.org/2000/svg"/>' },
        'application/json': {
          schema: Type.Union([counts, shields]),
          example: { status: 'up', total: 3, grace: 0, down: 0 },
        },
      },
    },
  },
  refusals: { 404: nothing('No such badge, or a wrong signature') },
}

const statesAbout = 'With exactly `-2` behind the eight characters of the signature two states, else three'
const signaturePattern = '[A-Za-z0-9_-]{8}'
const formatPattern = '\\.(svg|json|shields)'
const text = (pattern: string, about: string, value: string) => withExample(Type.String({ pattern }), value, about)
const key = text('^[A-Za-z0-9_-]{8,150}$', "The project's badge key", exampleProject)

export const badgeOfAll = {
  ...badge,
  operationId: 'badgeOfAll',
  summary: 'The badge of all checks of a project',
  params: Type.Object({
    key,
    file: text(
      `^${signaturePattern}[\\s\\S]*${formatPattern}$`,
      `Signature and format. ${statesAbout}`,
      'eSzysSXX.json',
    ),
  }),
}

export const badgeOfTag = {
  ...badge,
  operationId: 'badgeOfTag',
  summary: 'The badge of the checks with a tag',
  params: Type.Object({
    key,
    // The rest of the header is ignored, except for the one text that has a meaning.
    signature: text(`^${signaturePattern}`, statesAbout, '7mVm1SBm-2'),
    file: text(`^.+${formatPattern}$`, 'The tag, encoded twice, and the format', 'prod.svg'),
  }),
}

export const badgeOfCheck = {
  ...badge,
  operationId: 'badgeOfCheck',
  summary: 'The badge of a check',
  params: Type.Object({
    states: withExample(Type.Integer({ minimum: 0 }), 2, '3 knows a third state, `late`'),
    file: text(
      `^${uuidPattern}${formatPattern}$`,
      'Badge uuid of the check and format',
      '5e5a2f0e-7d5f-4a5e-8f5a-3a1f0d2b7c11.svg',
    ),
  }),
}
