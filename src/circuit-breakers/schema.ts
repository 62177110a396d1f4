// The calls about circuit breakers: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, json, nullable, ref, refusals, withExample } from '../http/schemas/api-schema.ts'
import type { BreakerDocument } from './service.ts'

const Breaker = Type.Object(
  {
    name: Type.String(),
    kind: Type.String(),
    state: Type.String({ enum: ['closed', 'open', 'half_open'] }),
    failures: Type.Integer(),
    successes: Type.Integer(),
    openedAt: nullable(),
    nextAttemptAt: nullable(),
    lastError: nullable(),
    thresholds: Type.Object({
      failureThreshold: Type.Integer(),
      recoveryMs: Type.Integer(),
      successThreshold: Type.Integer(),
      requestTimeoutMs: Type.Integer(),
    }),
  },
  closed,
)

export const breakerSchemas = { Breaker }

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

const all = json(
  'The circuit breakers',
  Type.Object({ circuit_breakers: Type.Array(ref<BreakerDocument>('Breaker')) }),
  { circuit_breakers: [breaker] },
)
const call = { tags: ['service'], refusals: refusals(401, 404, 429) }

export const listBreakers = {
  ...call,
  operationId: 'listCircuitBreakers',
  summary: 'The circuit breakers and their states',
  response: { 200: all },
}

export const listBreakersShort = {
  ...listBreakers,
  operationId: 'listCircuitBreakersShort',
  summary: 'The same call under a short address',
}

export const resetBreaker = {
  ...call,
  operationId: 'resetCircuitBreaker',
  summary: 'Close a circuit breaker',
  params: Type.Object({ name: withExample(Type.String({ maxLength: 100 }), 'database', 'Its name') }),
  response: { 200: json('The breaker after the call', ref<BreakerDocument>('Breaker'), breaker) },
}

export const resetBreakers = {
  ...call,
  operationId: 'resetCircuitBreakers',
  summary: 'Close all circuit breakers',
  response: { 200: all },
}
