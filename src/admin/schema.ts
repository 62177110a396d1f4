// The calls of the operator about this process: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, json, refusals, withExample } from '../http/schemas/api-schema.ts'

const Level = Type.Object({ level: Type.String() }, closed)
const level = Type.Object({ level: Type.String() })

export const shutdownService = {
  operationId: 'shutdown',
  tags: ['service'],
  summary: 'End the process as a SIGTERM does',
  response: {
    202: json('The process drains and ends', Type.Object({ status: Type.String() }), { status: 'shutting down' }),
  },
  refusals: refusals(401, 404, 429),
}

export const getLogLevel = {
  operationId: 'getLogLevel',
  tags: ['service'],
  summary: 'Read the log level',
  response: { 200: json('The level', level, { level: 'info' }) },
  refusals: refusals(401, 404, 429),
}

export const setLogLevel = {
  operationId: 'setLogLevel',
  tags: ['service'],
  summary: 'Change the log level until the next start',
  body: withExample(Level, { level: 'debug' }),
  response: { 200: json('The level', level, { level: 'debug' }) },
  refusals: refusals(400, 401, 404, 429),
}
