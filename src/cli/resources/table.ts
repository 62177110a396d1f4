// What `flatline checks | channels | projects | breakers | deliveries` can do: one row for each verb. The API validates;
// a row says which call it is, which options become its query or its body, and how the answer is shown.

import { wireFields } from '../../checks/fields/fields.ts'
import type { Option, Options } from '../arguments/options.ts'
import type { Credential } from '../server.ts'
import { columns, type ShownColumn } from './shown.ts'

export type Verb = {
  about: string
  call: readonly [method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string]
  /** What the word after the verb names. `name`: it goes into the path as it is. */
  target?: 'id' | 'name'
  /** They go into the query string. */
  query?: Options
  /** They go into the body under the same names. */
  body?: Options
  /** Fields of the rows that the command itself compares, because the API does not. */
  filters?: Options
  /** The answer has a list under this name: `paged` if the call takes `limit` and `after`. */
  list?: { name: string; columns: readonly ShownColumn[]; paged?: true }
  /** Destroys more than can be made again: needs --yes. */
  needsYes?: true
  /** The exit status is 1 unless this field of the answer is true. */
  succeeds?: string
}

export type Resource = {
  about: string
  credential: Credential
  /** The field that identifies one, and the list in which the command looks up a name. */
  id: string
  lookUp?: { path: string; list: string; paged?: true; slug?: true }
  verbs: Readonly<Record<string, Verb>>
}

const text = (about: string): Option => ({ kind: 'text', about })

/** The fields of a check, as the API describes them. */
const checkFields: Options = Object.fromEntries(
  wireFields.map(({ name, column, type: { sql }, about, isOurs }): [string, Option] => {
    const integer = column.endsWith('_s') ? 'seconds' : 'integer'
    const kind = sql === 'bool' ? 'flag' : sql === 'int4' ? integer : 'text'
    const removes = isOurs && kind !== 'flag'
    const shown = kind === 'seconds' ? about.replace(/^Seconds that/, 'How long').replace(/^Seconds/, 'Time') : about
    return [
      name.replaceAll('_', '-'),
      { kind, about: removes ? `${shown}; null removes it` : shown, isNullable: removes === true },
    ]
  }),
)

const statuses = ['new', 'up', 'grace', 'down', 'paused'] as const

const channelFields: Options = {
  name: text('Name'),
  settings: { kind: 'json', about: 'settings of its kind (docs/channels.md); those with secrets belong in a file' },
  alerts: { kind: 'json', about: 'which alerts it gets: events, severities, quiet_hours, remind_every, escalate' },
}

const checks = '/api/v3/checks/'
const channels = '/api/v3/channels/'
const projects = '/api/v3/projects/'
const breakers = '/api/v1/circuit-breakers'

export const resources: Readonly<Record<string, Resource>> = {
  checks: {
    about: 'the checks of a project',
    credential: 'project',
    id: 'uuid',
    lookUp: { path: checks, list: 'checks', paged: true, slug: true },
    verbs: {
      list: {
        about: 'list checks',
        call: ['GET', checks],
        query: {
          tag: { kind: 'texts', about: 'only those with all of these tags' },
          slug: text('only the one with this slug'),
        },
        filters: { status: { kind: 'texts', choices: statuses, about: 'only those with one of these statuses' } },
        list: { name: 'checks', columns: columns.checks, paged: true },
      },
      show: { about: 'show one check', call: ['GET', `${checks}:id`], target: 'id' },
      create: {
        about: 'create a check',
        call: ['POST', checks],
        body: {
          ...checkFields,
          channels: text('ids or names of channels, joined by commas; * for all'),
          unique: { kind: 'texts', about: 'fields by which an existing check is updated instead' },
        },
      },
      update: {
        about: 'change the given fields of a check',
        call: ['POST', `${checks}:id`],
        target: 'id',
        body: { ...checkFields, channels: text('ids or names of channels, joined by commas; * for all') },
      },
      pause: { about: 'pause monitoring', call: ['POST', `${checks}:id/pause`], target: 'id' },
      resume: { about: 'resume monitoring', call: ['POST', `${checks}:id/resume`], target: 'id' },
      delete: { about: 'delete a check with its history', call: ['DELETE', `${checks}:id`], target: 'id' },
      pings: {
        about: 'list the received heartbeats, the newest first',
        call: ['GET', `${checks}:id/pings/`],
        target: 'id',
        query: { limit: { kind: 'integer', about: 'at most so many' } },
        list: { name: 'pings', columns: columns.pings },
      },
      flips: {
        about: 'list the changes of status',
        call: ['GET', `${checks}:id/flips/`],
        target: 'id',
        query: { seconds: { kind: 'seconds', about: 'only those since then' } },
        list: { name: 'flips', columns: columns.flips },
      },
    },
  },
  channels: {
    about: 'where the alerts of a project go',
    credential: 'project',
    id: 'id',
    lookUp: { path: channels, list: 'channels' },
    verbs: {
      list: { about: 'list channels', call: ['GET', channels], list: { name: 'channels', columns: columns.channels } },
      show: { about: 'show a channel, with secrets masked', call: ['GET', `${channels}:id/`], target: 'id' },
      create: {
        about: 'create a channel',
        call: ['POST', channels],
        body: {
          kind: { kind: 'text', about: 'such as webhook, slack, email (docs/channels.md)', isRequired: true },
          ...channelFields,
          checks: { kind: 'text', choices: ['*'], about: '* attaches it to all existing checks' },
        },
      },
      update: {
        about: 'rename a channel, or replace its settings or its alerts',
        call: ['PATCH', `${channels}:id/`],
        target: 'id',
        body: channelFields,
      },
      test: {
        about: 'send a test message; exit status 1 unless it is delivered',
        call: ['POST', `${channels}:id/test/`],
        target: 'id',
        succeeds: 'delivered',
      },
      delete: { about: 'delete a channel', call: ['DELETE', `${channels}:id/`], target: 'id' },
    },
  },
  deliveries: {
    about: 'the alerts of a project and their outcomes',
    credential: 'project',
    id: 'id',
    verbs: {
      list: {
        about: 'list alerts, the newest first',
        call: ['GET', '/api/v3/deliveries/'],
        query: {
          status: {
            kind: 'text',
            choices: ['pending', 'sent', 'retrying', 'dead', 'suppressed'],
            about: 'only those with this status',
          },
          check: text('only those of this check (uuid)'),
          channel: text('only those of this channel (id)'),
        },
        list: { name: 'deliveries', columns: columns.deliveries, paged: true },
      },
      resend: {
        about: 'retry a dead alert for another day',
        call: ['POST', '/api/v3/deliveries/:id/resend/'],
        target: 'id',
      },
    },
  },
  projects: {
    about: 'projects and their keys',
    credential: 'operator',
    id: 'id',
    lookUp: { path: projects, list: 'projects', paged: true },
    verbs: {
      list: {
        about: 'list projects',
        call: ['GET', projects],
        list: {
          name: 'projects',
          columns: columns.projects,
          paged: true,
        },
      },
      show: { about: 'show a project and its quotas', call: ['GET', `${projects}:id/`], target: 'id' },
      create: {
        about: 'create a project; its keys are shown once, here',
        call: ['POST', projects],
        body: { name: { kind: 'text', about: 'Name', isRequired: true } },
      },
      update: {
        about: 'change the quotas of a project',
        call: ['PATCH', `${projects}:id/`],
        target: 'id',
        body: {
          quota: {
            kind: 'json',
            isRequired: true,
            about: 'such as {"checks": 1000} (docs/api.md); null restores a default',
          },
        },
      },
      'rotate-key': {
        about: 'replace a key; the new one is shown once, here',
        call: ['POST', `${projects}:id/keys/:kind/rotate/`],
        target: 'id',
        body: {
          kind: {
            kind: 'text',
            about: 'which',
            choices: ['api_key', 'api_key_readonly', 'ping_key'],
            isRequired: true,
          },
        },
      },
      delete: {
        about: 'delete a project with everything in it',
        call: ['DELETE', `${projects}:id/`],
        target: 'id',
        needsYes: true,
      },
    },
  },
  breakers: {
    about: 'the circuit breakers of the process that answers',
    credential: 'operator',
    id: 'name',
    verbs: {
      list: {
        about: 'list circuit breakers',
        call: ['GET', `${breakers}/status`],
        filters: {
          state: {
            kind: 'texts',
            choices: ['closed', 'open', 'half_open'],
            about: 'only those in one of these states',
          },
        },
        list: { name: 'circuit_breakers', columns: columns.breakers },
      },
      reset: { about: 'close a circuit breaker', call: ['POST', `${breakers}/:id/reset`], target: 'name' },
      'reset-all': {
        about: 'close all circuit breakers',
        call: ['POST', `${breakers}/reset-all`],
        list: { name: 'circuit_breakers', columns: columns.breakers },
      },
    },
  },
}
