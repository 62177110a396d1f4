/** The heading, the field of the API, and how its value is written; as it is if nothing is said. */
export type ShownColumn = readonly [heading: string, field: string, form?: 'seconds']

/** What the tables of the lists contain. */
export const columns = {
  checks: [
    ['name', 'name'],
    ['status', 'status'],
    ['last ping', 'last_ping'],
    ['next ping', 'next_ping'],
    ['schedule', 'schedule'],
    ['timeout', 'timeout', 'seconds'],
    ['grace', 'grace', 'seconds'],
    ['tags', 'tags'],
    ['uuid', 'uuid'],
  ],
  pings: [
    ['n', 'n'],
    ['kind', 'type'],
    ['at', 'date'],
    ['from', 'remote_addr'],
    ['method', 'method'],
    ['duration', 'duration', 'seconds'],
  ],
  flips: [
    ['at', 'timestamp'],
    ['up', 'up'],
  ],
  channels: [
    ['name', 'name'],
    ['kind', 'kind'],
    ['id', 'id'],
  ],
  deliveries: [
    ['event', 'event'],
    ['status', 'status'],
    ['attempts', 'attempts'],
    ['next attempt', 'next_attempt'],
    ['waiting for', 'waiting_for'],
    ['last error', 'last_error'],
    ['check', 'check'],
    ['id', 'id'],
  ],
  breakers: [
    ['name', 'name'],
    ['state', 'state'],
    ['failures', 'failures'],
    ['opened', 'openedAt'],
    ['next attempt', 'nextAttemptAt'],
    ['last error', 'lastError'],
  ],
  projects: [
    ['name', 'name'],
    ['created', 'created'],
    ['id', 'id'],
  ],
} satisfies Record<string, readonly ShownColumn[]>
