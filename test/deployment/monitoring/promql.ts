// Finds the metrics, labels and values that a PromQL expression uses, and compares them with existing ones. Prometheus
// itself accepts any name of a metric or label, and returns nothing for an unknown one.

import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'

/** Of one metric its labels, each with the values that are known; no values means that any may come. */
export type Family = { help: string; labels: Map<string, Set<string>> }
export type Catalogue = Map<string, Family>

/** Given by Prometheus to everything that it scrapes: in Kubernetes by the operator, else by the configuration. */
const targetLabels = ['job', 'instance', 'namespace']

type Matcher = { label: string; op: string; value: string }

/** What is wrong with an expression; empty if nothing is. */
export function problemsOf(expr: string, catalogue: Catalogue): string[] {
  const problems: string[] = []
  const text = ({ from, to }: SyntaxNode) => expr.slice(from, to)
  parser.parse(expr).iterate({
    enter({ type, node }) {
      if (type.isError) problems.push(`syntax error at ${node.from}: ${expr.slice(node.from, node.from + 20)}`)
      if (type.name === 'VectorSelector') problems.push(...selectorProblems(node, text, catalogue))
      if (type.name === 'GroupingLabels') problems.push(...groupingProblems(node, text, catalogue))
    },
  })
  return problems
}

/** The metrics that an expression names. */
export function metricsOf(expr: string): string[] {
  const selectors = nodesBelow(parser.parse(expr).topNode, 'VectorSelector')
  const names = selectors.flatMap((node) => nodesBelow(node, 'Identifier').map(({ from, to }) => expr.slice(from, to)))
  return [...new Set(names)]
}

/** The labels that the result of a recording rule has: those that it is grouped by, or all of its metrics'. */
export function labelsOf(expr: string, catalogue: Catalogue): Map<string, Set<string>> {
  const known = new Map(metricsOf(expr).flatMap((metric) => [...(catalogue.get(metric)?.labels ?? [])]))
  const groupings = nodesBelow(parser.parse(expr).topNode, 'AggregateModifier')
  if (groupings.length === 0) return known
  const names = groupings.flatMap((node) => nodesBelow(node, 'LabelName').map(({ from, to }) => expr.slice(from, to)))
  return new Map(names.map((name) => [name, known.get(name) ?? new Set<string>()]))
}

function selectorProblems(node: SyntaxNode, text: (node: SyntaxNode) => string, catalogue: Catalogue): string[] {
  const identifier = node.getChild('Identifier')
  const metric = identifier ? text(identifier) : ''
  const family = catalogue.get(metric)
  if (family === undefined) return [`no such metric: ${metric || text(node)}`]
  const matchers = nodesBelow(node, 'UnquotedLabelMatcher').map((matcher) => readMatcher(matcher, text))
  const isOurs = matchers.some(({ label, op, value }) => label === 'job' && op === '=' && value === 'flatline')
  // A project's Prometheus scrapes its checks under any job.
  const isOfProject =
    metric.startsWith('hc_') && (metric === 'hc_checks_total' || matchers.some(({ label }) => label === 'job'))
  // Names with a colon are of our recording rules.
  if (!isOurs && !isOfProject && !metric.includes(':') && metric !== 'ALERTS') return [`${metric} of whatever job`]
  return matchers.flatMap(({ label, op, value }) => {
    if (targetLabels.includes(label)) return []
    const values = family.labels.get(label)
    if (values === undefined) return [`${metric} has no label ${label}`]
    return wordsOf(op, value)
      .filter((word) => values.size > 0 && !values.has(word) && !hasWord(family.help, word))
      .map((word) => `${metric} has no ${label}="${word}"`)
  })
}

/** The labels of `by`, `without`, `on`, `ignoring` and `group_left` must be those of a metric within the same expression. */
function groupingProblems(node: SyntaxNode, text: (node: SyntaxNode) => string, catalogue: Catalogue): string[] {
  const around = enclosing(node)
  const metrics = nodesBelow(around, 'VectorSelector').map((selector) => {
    const identifier = selector.getChild('Identifier')
    return identifier ? text(identifier) : ''
  })
  const known = new Set([
    ...targetLabels,
    ...metrics.flatMap((metric) => [...(catalogue.get(metric)?.labels.keys() ?? [])]),
  ])
  return nodesBelow(node, 'LabelName')
    .map(text)
    .filter((label) => !known.has(label))
    .map((label) => `nothing in ${text(around)} has a label ${label}`)
}

function enclosing(node: SyntaxNode): SyntaxNode {
  let around: SyntaxNode = node
  while (around.parent && !['AggregateExpr', 'BinaryExpr'].includes(around.name)) around = around.parent
  return around
}

function nodesBelow(node: SyntaxNode, name: string): SyntaxNode[] {
  const found: SyntaxNode[] = []
  node.cursor().iterate(({ name: each, node: one }) => {
    if (each === name) found.push(one)
  })
  return found
}

function readMatcher(node: SyntaxNode, text: (node: SyntaxNode) => string): Matcher {
  const part = (name: string) => {
    const child = node.getChild(name)
    return child ? text(child) : ''
  }
  return { label: part('LabelName'), op: part('MatchOp'), value: part('StringLiteral').slice(1, -1) }
}

/** The values that a matcher means; none where it is a pattern. */
function wordsOf(op: string, value: string): string[] {
  const words = op.includes('~') ? value.split('|') : [value]
  return words.every((word) => /^\w*$/.test(word)) ? words.filter(Boolean) : []
}

/** Values that have not come up yet are listed in the help text. */
function hasWord(help: string, word: string): boolean {
  return new RegExp(`\\b${word}\\b`).test(help)
}
