// The description of the API: /api/openapi.json for programs, /api/docs/ for people. Registered before the routes that
// it describes.

import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Type } from 'typebox'
import { version } from '../config/load.ts'
import { errorSchemas, json, shareSchemas, text } from '../http/schemas/api-schema.ts'
import { bothForms } from '../http/slashes.ts'
import { describe, nameOperations, securitySchemesOf, tags } from './description.ts'

/** Only its own scripts and styles; the page draws its icons from data addresses, and sets styles on its elements. */
const pageCsp =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export const openapiPlugin = fp<{ siteUrl: string | undefined }>(
  async (app, { siteUrl }) => {
    shareSchemas(app, errorSchemas)
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Flatline',
          version,
          description:
            'Heartbeat monitoring: alerts when something that should keep happening stops happening. Checks have the shapes of the Healthchecks API, whose clients work here.',
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [{ url: siteUrl ?? '/', description: 'This server' }],
        components: {
          // Evaluated when the document is made: the authenticators are registered after this plugin.
          get securitySchemes() {
            return securitySchemesOf(app.authenticators)
          },
        },
        tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
      },
      refResolver: { buildLocalReference: (json) => String(json.$id) },
      transform: ({ route }) => describe(route, app.authenticators),
      transformObject: (document) => nameOperations('openapiObject' in document ? document.openapiObject : {}),
    })
    await app.register(pages)
  },
  { name: 'openapi', dependencies: ['http-requirements'] },
)

const documentSchema = {
  operationId: 'openapi',
  tags: ['service'],
  summary: 'This document',
  response: {
    200: json('OpenAPI 3.1', Type.Object({ openapi: Type.String() }, { additionalProperties: true }), {
      openapi: '3.1.0',
    }),
  },
}
const pageSchema = {
  operationId: 'docs',
  tags: ['service'],
  summary: 'This document for people',
  response: { 200: text('A page', '<!DOCTYPE html>', 'text/html') },
}

async function pages(app: FastifyInstance): Promise<void> {
  app.addHook('onRoute', (route) => {
    // Fastify adds the slash to the route only after this.
    if (route.url === '/api/docs') route.schema = pageSchema
  })
  // A library registers these routes, and cannot set the configuration itself.
  app.decorate('routeRequires', 'public')
  let text: string | undefined
  for (const { url, form } of bothForms('/api/openapi.json')) {
    app.get(
      url,
      { config: { requires: 'public', quiet: true, ...form }, schema: documentSchema },
      async (_request, reply) => {
        text ??= JSON.stringify(app.swagger())
        return reply.type('application/json; charset=utf-8').send(text)
      },
    )
  }
  await app.register(swaggerUi, {
    routePrefix: '/api/docs',
    staticCSP: pageCsp,
    theme: { title: 'Flatline API' },
    uiConfig: { layout: 'BaseLayout', deepLinking: true, docExpansion: 'none' },
  })
}
