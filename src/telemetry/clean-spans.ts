// The last check of each span before it leaves the process, with the rules for lines of the log: an error that a
// framework attaches to a span may quote an address or a secret.

import type { Attributes, AttributeValue } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'

export function cleanedExporter(exporter: SpanExporter, clean: (text: string) => string): SpanExporter {
  return {
    export: (spans, done) =>
      exporter.export(
        spans.map((span) => cleaned(span, clean)),
        done,
      ),
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
}

function cleaned(span: ReadableSpan, clean: (text: string) => string): ReadableSpan {
  const { message } = span.status
  // The span's own properties stay behind the changed ones.
  return Object.create(span, {
    name: { value: clean(span.name) },
    attributes: { value: cleanAttributes(span.attributes, clean) },
    events: {
      value: span.events.map((event) => ({
        ...event,
        ...(event.attributes && { attributes: cleanAttributes(event.attributes, clean) }),
      })),
    },
    status: { value: message === undefined ? span.status : { ...span.status, message: clean(message) } },
  })
}

function cleanAttributes(attributes: Attributes, clean: (text: string) => string): Attributes {
  const one = (value: AttributeValue | undefined) => (typeof value === 'string' ? clean(value) : value)
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, one(value)]))
}
