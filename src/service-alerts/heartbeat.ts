// The service's own heartbeat: somebody else's monitor hears from it as long as it is well. Silence is the alarm, so that it needs no answer.

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
