// Calls about the service itself.

import { Type } from 'typebox'
import { json, type Operation, type Operations, ref, refusals, text } from './operation.ts'

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

const breaker = {
  name: 'database',
  kind: 'database',
  state: 'closed',
  failures: 0,
  successes: 0,
  openedAt: null,
  nextAttemptAt: null,
  lastError: null,
  thresholds: { failureThreshold: 5, recoveryMs: 1000, successThreshold: 3, requestTimeoutMs: 30_000 },
}
const breakers = json(
  'The circuit breakers',
  Type.Object({ circuit_breakers: Type.Array(Type.Unsafe(ref('Breaker'))) }),
  { circuit_breakers: [breaker] },
)
const level = Type.Object({ level: Type.String() })

const admin: Operations = {
  'GET /api/v1/circuit-breakers/status/': {
    id: 'listCircuitBreakers',
    tag: 'service',
    summary: 'What is left alone for a while because it failed again and again',
    answers: { 200: breakers, ...refusals('ours', 401, 404, 429) },
  },
  'GET /circuit-breaker/': {
    id: 'listCircuitBreakersShort',
    tag: 'service',
    summary: 'The same under a short address',
    answers: { 200: breakers, ...refusals('ours', 401, 404, 429) },
  },
  'POST /api/v1/circuit-breakers/:name/reset/': {
    id: 'resetCircuitBreaker',
    tag: 'service',
    summary: 'Close a circuit breaker',
    path: { name: { type: 'string', pattern: '^[^\\u0000-\\u001f]+$', description: 'Its name', example: 'database' } },
    answers: { 200: json('As it is now', ref('Breaker'), breaker), ...refusals('ours', 401, 404, 429) },
  },
  'POST /api/v1/circuit-breakers/reset-all/': {
    id: 'resetCircuitBreakers',
    tag: 'service',
    summary: 'Close all circuit breakers',
    answers: { 200: breakers, ...refusals('ours', 401, 404, 429) },
  },
  'POST /admin/shutdown': {
    id: 'shutdown',
    tag: 'service',
    summary: 'End the process as a SIGTERM does',
    answers: {
      202: json('It drains, and ends', Type.Object({ status: Type.String() }), { status: 'shutting down' }),
      ...refusals('ours', 401, 404, 429),
    },
  },
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
  'GET /api/v3/service-alerts/': {
    id: 'listServiceAlerts',
    tag: 'service',
    summary: 'What Flatline had to say of itself, the newest first',
    answers: {
      200: json(
        'The alerts',
        Type.Object({
          alerts: Type.Array(
            Type.Object({
              id: Type.Integer(),
              at: Type.String(),
              node: Type.String(),
              rule: Type.String(),
              level: Type.String({ enum: ['INFO', 'WARNING', 'CRITICAL', 'RESOLVED'] }),
              text: Type.String(),
            }),
          ),
          next: Type.Union([Type.String(), Type.Null()]),
        }),
        {
          alerts: [
            {
              id: 7,
              at: '2026-11-24T09:12:01.004+00:00',
              node: 'flatline-0',
              rule: 'detector_late',
              level: 'RESOLVED',
              text: 'as it should be again',
            },
          ],
          next: null,
        },
      ),
      ...refusals('ours', 400, 401, 404, 429),
    },
  },
  'GET /admin/log-level': {
    id: 'getLogLevel',
    tag: 'service',
    summary: 'What is logged',
    answers: { 200: json('The level', level, { level: 'info' }), ...refusals('ours', 401, 404, 429) },
  },
  'PUT /admin/log-level': {
    id: 'setLogLevel',
    tag: 'service',
    summary: 'Log more or less, until the next start',
    body: { example: { level: 'debug' } },
    answers: { 200: json('The level', level, { level: 'debug' }), ...refusals('ours', 400, 401, 404, 429) },
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
