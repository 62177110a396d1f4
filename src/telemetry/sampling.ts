import type { Sampler } from '@opentelemetry/sdk-trace'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  type IdGenerator,
  ParentBasedSampler,
  RandomIdGenerator,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace'
import type { Config } from '../config/load.ts'

export function samplerOf({ sampler, samplerArg }: Pick<Config['telemetry'], 'sampler' | 'samplerArg'>): Sampler {
  const root = sampler.endsWith('traceidratio')
    ? new TraceIdRatioBasedSampler(samplerArg)
    : sampler.endsWith('always_on')
      ? new AlwaysOnSampler()
      : new AlwaysOffSampler()
  return sampler.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root
}

type SpanIdPair = { traceId: string; spanId: string }

export type SpanIds = ReturnType<typeof createSpanIds>

/** Random ids, except for a span that starts within `using`. */
export function createSpanIds() {
  const random = new RandomIdGenerator()
  let chosen: SpanIdPair | null = null
  const generator: IdGenerator = {
    generateTraceId: () => chosen?.traceId ?? random.generateTraceId(),
    generateSpanId: () => chosen?.spanId ?? random.generateSpanId(),
  }
  return {
    generator,
    using<T>(ids: SpanIdPair, start: () => T): T {
      chosen = ids
      try {
        return start()
      } finally {
        chosen = null
      }
    },
  }
}
