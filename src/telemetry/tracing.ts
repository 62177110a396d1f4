// The spans of the service itself. The span of a request is made by Fastify's plugin and remembered by the id of the
// request, so that what happens later can refer to it:
// - A commit of a batch is a child of the first recorded request in it. It is linked with the others, in both directions.
// - A status change begins a trace of its own, with a link to the request that caused it. The ids of that span follow
//   from the check and the number of the change, so that every replica, and an attempt days later, continues the trace.
// - An attempt to deliver an alert is a child of the status change; its requests are children of the attempt.

import { createHash } from 'node:crypto'
import {
  type Attributes,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { type Sampler, SamplingDecision, type TracerProvider } from '@opentelemetry/sdk-trace'
import { LRUCache } from 'lru-cache'
import type { GuardedFetch } from '../outbound/guarded-fetch.ts'
import type { SpanIds } from './sampling.ts'

/** Requests whose span can still be found. */
const rememberedMax = 10_000
/** Links of one span; the SDK's own limit is 128. */
const linksMax = 100

type CheckChange = { checkId: string; seq: number }
export type TracedFlip = CheckChange & {
  from: string
  to: string
  reason: string
  at: number
  requestId?: string | undefined
}
/** `flipSeq` is 0 for what is not about a change of a check. */
export type TracedDelivery = {
  id: string
  subjectId: string
  flipSeq: number
  kind: string
  deliveryKind: string
  attempts: number
  requestId: string | null
}

export type Tracing = ReturnType<typeof createTracing>

export function createTracing(options: { provider: TracerProvider; sampler: Sampler; ids: SpanIds }) {
  const { provider, sampler, ids } = options
  const tracer = provider.getTracer('flatline')
  const requests = new LRUCache<string, Span>({ max: rememberedMax })

  /** Runs `work` with the span as the active one, and ends it. */
  async function within<T>(span: Span, work: () => Promise<T>): Promise<T> {
    try {
      return await context.with(trace.setSpan(context.active(), span), work)
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR })
      span.setAttribute('error.type', errorType(error))
      throw error
    } finally {
      span.end()
    }
  }

  /** The span of a change, whichever replica wrote it. */
  function contextOfChange({ checkId, seq }: CheckChange): SpanContext {
    const { traceId, spanId } = idsOfChange(checkId, seq)
    const { decision } = sampler.shouldSample(ROOT_CONTEXT, traceId, 'flip', SpanKind.INTERNAL, {}, [])
    const isSampled = decision === SamplingDecision.RECORD_AND_SAMPLED
    return { traceId, spanId, traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true }
  }

  return {
    provider,

    remember(requestId: string, span: Span): void {
      if (span.isRecording()) requests.set(requestId, span)
    },

    /** The fields with which a log line names the active span. */
    fields(): object {
      const span = trace.getActiveSpan()?.spanContext()
      return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId }
    },

    /** Writes one batch of heartbeats. */
    commit<T>(entries: readonly { requestId: string }[], work: () => Promise<T>): Promise<T> {
      const spans = new Set<Span>()
      for (const { requestId } of entries) {
        const span = requests.get(requestId)
        if (span !== undefined) spans.add(span)
      }
      const [first, ...others] = spans
      // Whose request is not recorded has no use for the commit either.
      if (first === undefined) return context.with(ROOT_CONTEXT, work)
      const linked = others.slice(0, linksMax)
      const span = tracer.startSpan(
        'heartbeats commit',
        { attributes: { 'flatline.heartbeats': entries.length }, links: linked.map(linkTo) },
        trace.setSpan(ROOT_CONTEXT, first),
      )
      for (const other of linked) other.addLink(linkTo(span))
      return within(span, work)
    },

    /** A status change that has just been written. */
    flip({ checkId, seq, from, to, reason, at, requestId }: TracedFlip): void {
      const cause = (requestId === undefined ? undefined : requests.get(requestId)) ?? trace.getActiveSpan()
      const attributes = {
        'flatline.check': checkId,
        'flatline.flip.seq': seq,
        'flatline.flip.from': from,
        'flatline.flip.to': to,
        'flatline.flip.reason': reason,
        'flatline.flip.at': new Date(at).toISOString(),
        ...(requestId !== undefined && { 'flatline.request_id': requestId }),
      }
      const links = cause === undefined ? [] : [linkTo(cause)]
      ids.using(idsOfChange(checkId, seq), () => tracer.startSpan('flip', { root: true, attributes, links })).end()
    },

    /** One attempt at deliveries that are sent in one message. */
    delivery<T>(deliveries: readonly TracedDelivery[], work: () => Promise<T>): Promise<T> {
      const changes = deliveries
        .filter(({ flipSeq }) => flipSeq > 0)
        .map(({ subjectId, flipSeq }) => contextOfChange({ checkId: subjectId, seq: flipSeq }))
      const [first, ...others] = changes
      const parent = first === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, first)
      const links = others.slice(0, linksMax).map((change) => ({ context: change }))
      const span = tracer.startSpan('delivery', { attributes: describeDeliveries(deliveries), links }, parent)
      return within(span, work)
    },

    /** The outcome of the delivery that the active span attempts. */
    outcome(status: string): void {
      const span = trace.getActiveSpan()
      span?.setAttribute('flatline.delivery.outcome', status)
      if (status === 'retrying' || status === 'dead') span?.setStatus({ code: SpanStatusCode.ERROR })
    },

    /** Addresses of channels are secrets: of the address only the host is recorded. */
    fetch:
      (send: GuardedFetch): GuardedFetch =>
      (url, request) => {
        const target = URL.parse(url)
        const attributes = {
          'http.request.method': request.method,
          ...(target && { 'server.address': target.hostname, 'url.scheme': target.protocol.slice(0, -1) }),
          ...(target?.port && { 'server.port': Number(target.port) }),
        }
        const span = tracer.startSpan(request.method, { kind: SpanKind.CLIENT, attributes })
        return within(span, async () => {
          const response = await send(url, request)
          span.setAttribute('http.response.status_code', response.status)
          if (response.status >= 400) span.setStatus({ code: SpanStatusCode.ERROR })
          return response
        })
      },

    /** A statement that has just been answered, by its registered name. */
    statement(name: string, seconds: number): void {
      if (!trace.getActiveSpan()?.isRecording()) return
      const attributes = { 'db.system.name': 'postgresql', 'db.query.summary': name }
      const endTime = Date.now()
      tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes, startTime: endTime - seconds * 1000 }).end(endTime)
    },
  }
}

const linkTo = (span: Span): Link => ({ context: span.spanContext() })

function idsOfChange(checkId: string, seq: number): { traceId: string; spanId: string } {
  const digest = createHash('sha256').update(`${checkId}/${seq}`).digest('hex')
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) }
}

function describeDeliveries(deliveries: readonly TracedDelivery[]): Attributes {
  const [first] = deliveries
  if (first === undefined) return {}
  return {
    'flatline.deliveries': deliveries.length,
    'flatline.delivery.id': first.id,
    'flatline.delivery.kind': first.deliveryKind,
    'flatline.delivery.attempt': first.attempts,
    'flatline.channel.kind': first.kind,
    ...(first.requestId !== null && { 'flatline.request_id': first.requestId }),
  }
}

function errorType(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown }
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'error'
}
