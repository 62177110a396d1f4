/**
 * The label of a project in metrics: its id for the first `max` projects that appear, `other` for the rest, so that the
 * number of series is limited. Empty if there is no project.
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
