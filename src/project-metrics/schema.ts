// The calls with which a project's own Prometheus reads its checks.

import { Type } from 'typebox'
import { nothing, text, withExample } from '../http/schemas/api-schema.ts'
import { exampleProject } from '../http/schemas/examples.ts'

const exposition = `# HELP hc_check_up 0 if the check is down, 1 otherwise
# TYPE hc_check_up gauge
hc_check_up{name="nightly backup", tags="db prod", unique_key="b6589fc6ab0dc82cf12099d1c2d40ab994e8410c"} 1
`
const project = withExample(Type.String({ minLength: 1 }), exampleProject, 'Ignored: the key selects the project')
const key = withExample(
  Type.String({ pattern: '^[A-Za-z0-9_-]{32}$' }),
  'flr_0123456789abcdefghijklmnopqr',
  "The project's read-only key",
)
const call = {
  tags: ['badges'],
  response: { 200: text("Prometheus' text format", exposition) },
}
const refusals = { 400: nothing('A key has 32 characters'), 403: nothing('Not a read-only key') }

export const projectMetrics = {
  ...call,
  operationId: 'projectMetrics',
  summary: "A project's checks for its Prometheus",
  params: Type.Object({ project }),
  refusals: { ...refusals, 401: nothing('No bearer token') },
}

export const projectMetricsByKey = {
  ...call,
  operationId: 'projectMetricsByKey',
  summary: "A project's checks for its Prometheus, with the key in the address",
  params: Type.Object({ project, key }),
  refusals,
}

export const projectMetricsOldAddress = {
  ...projectMetricsByKey,
  operationId: 'projectMetricsOldAddress',
  summary: 'The same call under an older address',
  deprecated: true,
}
