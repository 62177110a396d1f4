// The service's own heartbeat to an external monitor, as long as the service is healthy. The monitor alerts on silence,
// so a failed heartbeat is not retried.

export async function beat(options: {
  url: string
  isWell: () => Promise<boolean>
  signal: AbortSignal
  log: { warn(o: object, message: string): void }
}): Promise<void> {
  const { url, isWell, signal, log } = options
  if (!(await isWell())) return
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) })
    await response.body?.cancel()
    if (!response.ok) log.warn({ event: 'self.heartbeat_refused', status: response.status }, 'own heartbeat refused')
  } catch (error) {
    if (signal.aborted) return
    const { code } = ((error as Error).cause ?? error) as { code?: string }
    log.warn({ event: 'self.heartbeat_refused', reason: code ?? (error as Error).name }, 'own heartbeat not delivered')
  }
}
