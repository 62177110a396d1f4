/**
 * The label of a project in metrics: its id for the first `max` that are seen, `other` for the rest, so that the number of series is
 * bounded whatever the number of projects. Empty where there is no project.
 */
export function createTenantLabels(max: number): (projectId: string) => string {
  const known = new Set<string>()
  return (projectId) => {
    if (projectId === '' || max === 0 || known.has(projectId)) return max === 0 ? '' : projectId
    if (known.size >= max) return 'other'
    known.add(projectId)
    return projectId
  }
}
