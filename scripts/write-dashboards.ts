// Writes monitoring/grafana/dashboards/*.json from scripts/dashboards:
//   node scripts/write-dashboards.ts
import { writeFileSync } from 'node:fs'
import { alerting } from './dashboards/alerting.ts'
import { healthMetrics } from './dashboards/health-metrics.ts'
import { ingest } from './dashboards/ingest.ts'
import { overview } from './dashboards/overview.ts'
import { project } from './dashboards/project.ts'
import { replicas } from './dashboards/replicas.ts'

const root = new URL('../', import.meta.url)

/** The generated files by their path in the repository. */
export function renderDashboards(): Record<string, string> {
  return Object.fromEntries(
    [overview, ingest, alerting, healthMetrics, replicas, project].map((dashboard) => {
      const path = `monitoring/grafana/dashboards/${String(dashboard.uid).replace('flatline-', '')}.json`
      return [path, `${JSON.stringify(dashboard, null, 2)}\n`]
    }),
  )
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(renderDashboards())) writeFileSync(new URL(path, root), text)
}
