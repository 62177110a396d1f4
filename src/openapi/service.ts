// Calls about the service itself.

import { Type } from 'typebox'
import { json, type Operation, type Operations, refusals, text } from './operation.ts'

const checks = { database: { status: 'healthy', responseTime: 1, connection: 'connected' } }
const probe = Type.Object({
  ready: Type.Boolean(),
  timestamp: Type.String(),
  checks: Type.Record(Type.String(), Type.String()),
  reasons: Type.Array(Type.String()),
})
const ready = {
  ready: true,
  timestamp: '2026-11-24T09:12:01.004Z',
  checks: { server: 'ready', database: 'healthy' },
  reasons: [],
}
const health = Type.Object({ status: Type.String(), timestamp: Type.String() }, { additionalProperties: true })

const live = (id: string): Operation => ({
  id,
  tag: 'service',
  summary: 'Whether the process works; never looks at the database',
  answers: {
    200: json('It does', Type.Object({ alive: Type.Boolean(), timestamp: Type.String(), uptime: Type.Integer() }), {
      alive: true,
      timestamp: '2026-11-24T09:12:01.004Z',
      uptime: 86_400,
    }),
  },
})

const readiness = (id: string): Operation => ({
  id,
  tag: 'service',
  summary: 'Whether heartbeats can be accepted here',
  answers: {
    200: json('They can', probe, ready),
    503: json('They cannot, and why', probe, {
      ...ready,
      ready: false,
      checks: { server: 'draining' },
      reasons: ['server is draining'],
    }),
  },
})

const probes: Operations = {
  'GET /health/live': live('healthLive'),
  'GET /live': live('live'),
  'GET /liveness': live('liveness'),
  'GET /health/ready': readiness('healthReady'),
  'GET /ready': readiness('ready'),
  'GET /readiness': readiness('readiness'),
  'GET /health': {
    id: 'health',
    tag: 'service',
    summary: 'Every check of the service, with details for addresses that may see them',
    answers: {
      200: json('Healthy or degraded', health, { status: 'healthy', timestamp: '2026-11-24T09:12:01.004Z', checks }),
      503: json('Unhealthy', health, { status: 'unhealthy', timestamp: '2026-11-24T09:12:01.004Z', checks }),
    },
  },
  'GET /status': {
    id: 'summary',
    tag: 'service',
    summary: 'A summary for people and dashboards',
    answers: {
      200: json('The summary', health, {
        status: 'healthy',
        timestamp: '2026-11-24T09:12:01.004Z',
        heartbeats_processed: 123_456,
        last_run: '2026-11-24T09:12:00.900+00:00',
        data_staleness_ms: 0,
        blind_windows: [],
      }),
    },
  },
  'GET /metrics': {
    id: 'metrics',
    tag: 'service',
    summary: "The service's own metrics for Prometheus",
    answers: {
      200: text("Prometheus' text format", '# TYPE app_ready gauge\napp_ready 1\n'),
      ...refusals('ours', 401),
    },
  },
}

const admin: Operations = {
  'POST /admin/reencrypt': {
    id: 'reencrypt',
    tag: 'service',
    summary: "Encrypt channels' settings with the first ENCRYPTION_KEY, so that the others can go",
    answers: {
      200: json(
        'What was done',
        Type.Object({ channels: Type.Integer(), reencrypted: Type.Integer(), unreadable: Type.Integer() }),
        { channels: 12, reencrypted: 12, unreadable: 0 },
      ),
      ...refusals('ours', 401, 404, 429),
    },
  },
}

const samples: Operations = {
  'GET /api/v3/health-metrics/': {
    id: 'listHealthMetrics',
    tag: 'service',
    summary: 'Samples of a metric of the service over time',
    query: {
      name: { type: 'string', description: 'One of the names', example: 'queue_length' },
      from: { type: 'string', description: 'Unix seconds, or ISO 8601; an hour before `to`', example: '1795478400' },
      to: { type: 'string', description: 'Unix seconds, or ISO 8601; now', example: '2026-11-24T10:00:00Z' },
      step: { type: 'integer', minimum: 1, maximum: 31_536_000, description: 'Seconds of a point', example: 60 },
      tags: { type: 'string', description: '`key:value`, joined by commas', example: 'queue:heartbeats' },
    },
    answers: {
      200: json(
        'Points of unix seconds, minimum, average and maximum',
        Type.Object({
          name: Type.String(),
          step: Type.Integer(),
          points: Type.Array(Type.Array(Type.Number(), { minItems: 4, maxItems: 4 })),
        }),
        { name: 'queue_length', step: 60, points: [[1_795_478_400, 0, 1.5, 12]] },
      ),
      ...refusals('ours', 400, 401, 429),
    },
  },
  'GET /api/v3/health-metrics/names/': {
    id: 'listHealthMetricNames',
    tag: 'service',
    summary: 'Of which metrics there are samples',
    answers: {
      200: json('The names', Type.Object({ names: Type.Array(Type.String()) }), { names: ['queue_length'] }),
      ...refusals('ours', 401, 429),
    },
  },
  'GET /api/openapi.json': {
    id: 'openapi',
    tag: 'service',
    summary: 'This document',
    answers: { 200: json('OpenAPI 3.1', Type.Object({ openapi: Type.String() }), { openapi: '3.1.0' }) },
  },
  'GET /api/docs/': {
    id: 'docs',
    tag: 'service',
    summary: 'This document for people',
    answers: { 200: text('A page', '<!DOCTYPE html>', 'text/html') },
  },
}

export const serviceOperations: Operations = { ...probes, ...admin, ...samples }
