// A receiver of OTLP as JSON, and what it has received in a form that a test can compare.
// https://opentelemetry.io/docs/specs/otlp/#otlphttp

import type { TestContext } from 'node:test'
import { createReceiver, eventually, type Received } from '../helper.ts'

type AnyValue = {
  stringValue?: string
  intValue?: number
  doubleValue?: number
  boolValue?: boolean
  arrayValue?: { values?: AnyValue[] }
  kvlistValue?: { values?: KeyValue[] }
}
type KeyValue = { key: string; value: AnyValue }
type Attributes = Record<string, unknown>

export type ReceivedSpan = {
  name: string
  kind: number
  traceId: string
  spanId: string
  parentSpanId: string | undefined
  links: { traceId: string; spanId: string }[]
  status: number
  attributes: Attributes
}
type RawSpan = Omit<ReceivedSpan, 'attributes' | 'status' | 'links'> & {
  attributes: KeyValue[]
  status: { code?: number }
  links?: { traceId: string; spanId: string }[]
}
type RawLog = {
  severityText: string
  body: AnyValue
  traceId?: string
  spanId?: string
  attributes: KeyValue[]
}
type Point = { attributes: KeyValue[]; asDouble?: number; asInt?: number; count?: number; bucketCounts?: number[] }
type RawMetric = { name: string; [kind: string]: unknown }

export async function createOtlpReceiver(t: Pick<TestContext, 'after'>, respond?: (request: Received) => number) {
  const { url, received } = await createReceiver(t, respond)
  const bodies = (path: string) =>
    received.filter((request) => request.url === path).map(({ body }) => JSON.parse(body))

  const spans = (): ReceivedSpan[] =>
    bodies('/v1/traces')
      .flatMap(({ resourceSpans }) => resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans)
      .flatMap(({ spans }) => spans)
      .map(({ links = [], ...span }: RawSpan) => ({
        ...span,
        links: links.map(({ traceId, spanId }) => ({ traceId, spanId })),
        parentSpanId: span.parentSpanId || undefined,
        status: span.status.code ?? 0,
        attributes: attributesOf(span.attributes),
      }))

  return {
    url,
    received,
    spans,
    logs: () =>
      bodies('/v1/logs')
        .flatMap(({ resourceLogs }) => resourceLogs)
        .flatMap(({ scopeLogs }) => scopeLogs)
        .flatMap(({ logRecords }) => logRecords)
        .map(({ severityText, body, traceId, spanId, attributes }: RawLog) => ({
          ...{ severityText, traceId, spanId },
          body: decoded(body),
          attributes: attributesOf(attributes),
        })),
    /** The points of a metric in the newest export that has it, by their labels. */
    points(name: string): (Omit<Point, 'attributes'> & { attributes: Attributes })[] {
      const metric: RawMetric | undefined = bodies('/v1/metrics')
        .flatMap(({ resourceMetrics }) => resourceMetrics)
        .flatMap(({ scopeMetrics }) => scopeMetrics)
        .flatMap(({ metrics }) => metrics)
        .findLast((one: RawMetric) => one.name === name)
      const { dataPoints } = (metric?.sum ?? metric?.gauge ?? metric?.histogram ?? { dataPoints: [] }) as {
        dataPoints: Point[]
      }
      return dataPoints.map((point) => ({ ...point, attributes: attributesOf(point.attributes) }))
    },
    resource: (path: string): Attributes => {
      const [body] = bodies(path)
      const [first] = body.resourceSpans ?? body.resourceLogs ?? body.resourceMetrics
      return attributesOf(first.resource.attributes)
    },
    span: (what: string, isIt: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> =>
      eventually(what, async () => spans().find(isIt)),
  }
}

function attributesOf(pairs: KeyValue[] = []): Attributes {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, decoded(value)]))
}

function decoded(value: AnyValue): unknown {
  const { stringValue, intValue, doubleValue, boolValue, arrayValue, kvlistValue } = value
  if (kvlistValue) return attributesOf(kvlistValue.values)
  if (arrayValue) return (arrayValue.values ?? []).map(decoded)
  return stringValue ?? intValue ?? doubleValue ?? boolValue
}
