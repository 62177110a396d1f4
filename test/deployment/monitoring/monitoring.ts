// Reads the files under monitoring/, and runs the programs that check them.

import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { patience } from '../../patience.ts'

export const root = join(import.meta.dirname, '../../..')
export const read = (path: string) => readFileSync(join(root, path), 'utf8')

export type Alert = {
  alert: string
  expr: string
  for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}
export type Recording = { record: string; expr: string }
export type RuleFile = { groups: { name: string; rules: (Alert | Recording)[] }[] }

export const ruleFiles = globSync('monitoring/prometheus/rules/*.yml', { cwd: root }).sort()
export const ruleTestFiles = globSync('monitoring/prometheus/tests/*.yml', { cwd: root }).sort()
export const dashboardFiles = globSync('monitoring/grafana/dashboards/*.json', { cwd: root }).sort()

const rules = ruleFiles.flatMap((path) => (parse(read(path)) as RuleFile).groups.flatMap((group) => group.rules))
export const isAlert = (rule: Alert | Recording): rule is Alert => 'alert' in rule
export const alerts = rules.filter(isAlert)
export const recordings = rules.filter((rule): rule is Recording => !isAlert(rule))

/** Runs a program to its end; `output` is what it wrote, to whichever stream. */
export function run(program: string, args: readonly string[], options: { cwd?: string; input?: string } = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    timeout: patience(120_000),
    ...options,
  })
  return { status, output: `${stdout}${stderr}` }
}
