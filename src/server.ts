// The process: configuration, listener, start, and one orderly end for every cause, through close-with-grace.

import { mkdirSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import pino from 'pino'
import type { Keys } from './accounts/service.ts'
import { type AppOptions, buildApp } from './app.ts'
import { dataDirMode } from './config/data-dir.ts'
import { type Config, ConfigError, resolveConfig, startedByNpm } from './config/load.ts'
import { reportConfig } from './config/report.ts'
import { npmEchoMs, onStopSignals, type StopSignal } from './lifecycle/stop-signals.ts'
import { alwaysLog } from './logging/logger.ts'

export async function serve(): Promise<void> {
  // Objects that wait for a batch survive several scavenges, so V8 would soon allocate similar ones in old space at
  // once. There each dead one keeps its whole request until the next major collection: a flood of heartbeats cost half
  // as much again, and 100 MB.
  setFlagsFromString('--no-allocation-site-pretenuring')
  const resolved = configOrExit()
  const { config } = resolved
  let shutdown = () => {}
  const app: FastifyInstance = await assemble(config, {
    stdoutIsTTY: process.stdout.isTTY,
    announceKeys: (keys) => announceKeys(app, config, keys),
    shutdown: () => shutdown(),
  })
  surviveLostTerminal(app)
  const log = alwaysLog(app.log)
  const changed = reportConfig(resolved).filter(({ origin }) => origin !== 'default')
  const summary = Object.fromEntries(changed.map(({ path, value, origin }) => [path, { value, origin }]))
  log.info({ event: 'config.summary', environment: config.environment, settings: summary }, 'configuration')
  // Registered last, so it runs first: the listener is closed and every request answered, but the modules still run.
  app.addHook('onClose', async () => log.info({ event: 'shutdown.closed' }, 'Server closed, cleaning up resources...'))

  let started: Promise<void> = Promise.resolve()
  shutdown = endGracefully(app, config, () => started)
  try {
    await app.listen({ host: config.server.host, port: config.server.port })
    const { port } = app.server.address() as AddressInfo
    log.info({ event: 'server.listening', port, url: app.siteUrl() }, `serving on port ${port}`)
    started = app.lifecycle.start()
    await started
    if (app.lifecycle.phase === 'ready') log.info({ event: 'server.ready', url: app.siteUrl() }, 'ready')
  } catch (error) {
    // A start that a signal interrupted has not failed.
    if (app.lifecycle.signal.aborted) return
    await giveUp(app, error as Error & { code?: string }, config)
  }
}

async function assemble(config: Config, options: Omit<AppOptions, 'config'>): Promise<FastifyInstance> {
  try {
    return await buildApp({ config, ...options })
  } catch (error) {
    const { message, code = '' } = error as Error & { code?: string }
    const hint = ['EACCES', 'EROFS', 'ENOTDIR', 'EPERM'].includes(code)
      ? ' (DATA_DIR must be a writable directory)'
      : ''
    console.error(`cannot start: ${message}${hint}`)
    process.exit(1)
  }
}

/** If its terminal has been closed the log has no target; that must not interrupt an orderly end. */
function surviveLostTerminal(app: FastifyInstance): void {
  const stream: NodeJS.EventEmitter | undefined = Reflect.get(app.log, pino.symbols.streamSym)
  stream?.on?.('error', () => {})
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
}

function configOrExit(): ReturnType<typeof resolveConfig> {
  try {
    return resolveConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message)
    process.exit(1)
  }
}

/**
 * Handles signals and uncaught errors from here on; returns a function that begins the same shutdown on request, once.
 */
function endGracefully(app: FastifyInstance, config: Config, started: () => Promise<void>): () => void {
  const { drainMs, shutdownTimeoutMs } = config.server
  const log = alwaysLog(app.log)
  // A closed terminal, or a logrotate script, must not stop a service.
  process.on('SIGHUP', () => log.info({ event: 'signal.ignored' }, 'SIGHUP ignored'))

  let cause = ''
  let ending: Promise<void> | undefined
  let failed = false

  async function end(): Promise<void> {
    log.info({ event: 'shutdown.start', cause }, `${cause} received, starting graceful shutdown...`)
    const served = app.lifecycle.wasReady
    app.lifecycle.drain()
    if (served) {
      log.info({ event: 'shutdown.drain', drainMs }, 'not ready any more, serving until load balancers have noticed')
      await sleep(drainMs)
    }
    await started().catch(() => undefined)
    await app.audit.shutdown.write(cause)
    await app.close()
    log.info({ event: 'shutdown.complete', cause }, 'Graceful shutdown complete')
  }

  /** A second caller waits for the shutdown that the first has begun. */
  function begin(why: string): Promise<void> {
    cause ||= why
    ending ??= end().catch((err) => {
      log.fatal({ event: 'shutdown.error', err }, 'the shutdown failed')
      throw err
    })
    return ending
  }

  function forced(): void {
    app.audit.shutdown.cut(cause, 'timeout')
    const running = { phase: app.lifecycle.phase, step: app.lifecycle.current, resources: countResources() }
    log.fatal({ event: 'shutdown.forced', ...running }, 'Forced shutdown after timeout')
  }

  const onSecond = (how: 'signal' | 'error', about: object) => {
    app.audit.shutdown.cut(cause, `second ${how}`)
    log.fatal({ event: `shutdown.second_${how}`, ...about }, `second ${how}, exiting at once`)
  }

  const grace = closeWithGrace(
    {
      delay: shutdownTimeoutMs,
      logger: false,
      // close-with-grace would treat any repetition as a second signal.
      skip: ['SIGHUP', 'SIGINT', 'SIGTERM'],
      onTimeout: forced,
      onSecondSignal: (signal) => onSecond('signal', { signal }),
      onSecondError: (err) => onSecond('error', { err }),
    },
    async ({ signal, err }) => {
      if (err) {
        failed = true
        log.fatal({ event: 'shutdown.error', err }, 'uncaught error')
      }
      await begin(signal ?? (err ? 'uncaught error' : 'request'))
    },
  )
  const exitAtOnce = (signal: NodeJS.Signals) => {
    onSecond('signal', { signal })
    process.exit(1)
  }
  const on = {
    first(signal: StopSignal) {
      if (failed) exitAtOnce(signal)
      cause ||= signal
      grace.close()
    },
    echo(signal: StopSignal) {
      log.info({ event: 'signal.ignored', signal }, `${signal} again within a second: already shutting down`)
    },
    second: exitAtOnce,
  }
  onStopSignals(on, startedByNpm() ? npmEchoMs : 0)
  // Not through close-with-grace, which would treat the SIGTERM that an orchestrator sends after such a request as a
  // second signal.
  return () => {
    if (ending) return
    setTimeout(() => {
      forced()
      process.exit(1)
    }, shutdownTimeoutMs)
    begin('request').then(
      () => process.exit(failed ? 1 : 0),
      () => process.exit(1),
    )
  }
}

/** Prints one line for an error that waiting cannot solve. */
async function giveUp(
  app: FastifyInstance,
  error: Error & { code?: string; port?: number },
  config: Config,
): Promise<never> {
  const { host } = config.server
  // There may be three listeners: the error says which one failed.
  const port = error.port ?? config.server.port
  const { metricsPort, smtpPort } = config.features
  const setting = port === metricsPort ? 'METRICS_PORT' : port === smtpPort ? 'SMTP_PORT' : 'PORT'
  const reason =
    error.code === 'EADDRINUSE'
      ? `port ${port} on ${host} is taken: set ${setting} to another one`
      : error.code === 'EACCES' || error.code === 'EADDRNOTAVAIL'
        ? `cannot listen on ${host} port ${port}: ${error.code}`
        : error.message
  app.log.fatal({ event: 'start.failed', reason }, `cannot start: ${reason}`)
  await app.close().catch(() => undefined)
  process.exit(1)
}

function countResources(): Record<string, number> {
  const byType = Map.groupBy(process.getActiveResourcesInfo(), (type) => type)
  return Object.fromEntries([...byType].map(([type, all]) => [type, all.length]))
}

/** Generated keys go to the terminal once, never through the logger; without a terminal, into a private file. */
function announceKeys(app: FastifyInstance, config: Config, keys: Partial<Keys>): void {
  const text = Object.entries(keys).map(([kind, key]) => `${kind}=${key}\n`)
  if (config.environment !== 'local') {
    const file = join(config.server.dataDir, 'project-keys.txt')
    mkdirSync(config.server.dataDir, { recursive: true, mode: dataDirMode })
    writeFileSync(file, text.join(''), { mode: 0o600 })
    app.log.warn(
      { event: 'keys.generated', file },
      'keys of the default project were generated, read them from the file',
    )
    return
  }
  const url = app.siteUrl()
  const example = keys.api_key
    ? `
Create a check that expects a heartbeat each minute:

  curl -X POST ${url}/api/v3/checks/ -H 'X-Api-Key: ${keys.api_key}' -d '{"name": "my first job", "timeout": 60, "grace": 10}'

and send its heartbeats to the ping_url of the answer.
`
    : ''
  process.stdout.write(`
The keys of project "default", shown this once:

  ${text.join('  ')}${example}
`)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await serve()
