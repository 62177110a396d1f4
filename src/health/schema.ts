// The probes and their answers, with examples.

import { Type } from 'typebox'
import { json, text } from '../http/schemas/api-schema.ts'
import type { ApiVersion } from '../http/schemas/healthchecks-api.ts'

const timestamp = '2026-11-24T09:12:01.004Z'
const checks = { database: { status: 'healthy', responseTime: 1, connection: 'connected' } }

const Live = Type.Object({ alive: Type.Boolean(), timestamp: Type.String(), uptime: Type.Integer() })
const Readiness = Type.Object({
  ready: Type.Boolean(),
  timestamp: Type.String(),
  checks: Type.Record(Type.String(), Type.String()),
  reasons: Type.Array(Type.String()),
})
/** Callers that may see details get more fields. */
const Health = Type.Object({ status: Type.String(), timestamp: Type.String() }, { additionalProperties: true })

export const live = (path: string) => ({
  operationId: nameOf(path),
  tags: ['service'],
  summary: 'Whether the process works; never asks the database',
  response: { 200: json('It does', Live, { alive: true, timestamp, uptime: 86_400 }) },
})

const found = { server: 'ready', database: 'healthy', migrations: 'applied', memory: 'healthy', disk: 'healthy' }
const ready = { ready: true, timestamp, checks: found, reasons: [] }

export const readiness = (path: string) => ({
  operationId: nameOf(path),
  tags: ['service'],
  summary: 'Whether this replica can accept heartbeats',
  response: {
    200: json('They can', Readiness, ready),
    503: json('It cannot, with the reasons', Readiness, {
      ...ready,
      ready: false,
      checks: { ...found, server: 'draining' },
      reasons: ['server is draining'],
    }),
  },
})

export const health = {
  operationId: 'health',
  tags: ['service'],
  summary: 'Every check of the service, with details for addresses that may see them',
  response: {
    200: json('Healthy or degraded', Health, { status: 'healthy', timestamp, checks }),
    503: json('Unhealthy', Health, { status: 'unhealthy', timestamp, checks }),
  },
}

export const summary = {
  operationId: 'summary',
  tags: ['service'],
  summary: 'A summary for people and dashboards',
  response: {
    200: json('The summary', Health, {
      status: 'healthy',
      timestamp,
      heartbeats_processed: 123_456,
      last_run: '2026-11-24T09:12:00.900+00:00',
      data_staleness_ms: 0,
      blind_windows: [],
    }),
  },
}

/** The status call of Healthchecks, in each of its versions. */
export const status = (version: ApiVersion) => ({
  operationId: version === 3 ? 'status' : `statusV${version}`,
  tags: ['service'],
  summary: 'Whether the database answers',
  ...(version < 3 && { deprecated: true }),
  response: { 200: text('It does', 'OK') },
})

/** `/health/live` is healthLive. */
function nameOf(path: string): string {
  return path.slice(1).replace(/\/(\w)/g, (_, letter: string) => letter.toUpperCase())
}
