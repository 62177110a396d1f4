// The calls on suppression: their parameters, their answers, and examples.

import { Type } from 'typebox'
import { closed, json, nothing, nullable, ref, refusals, withExample } from '../../http/schemas/api-schema.ts'
import { exampleCheck } from '../../http/schemas/examples.ts'
import { pageCall } from '../../messages/link-routes.ts'
import { idOf } from '../api-schema.ts'
import { LinkToken, NewMaintenance } from '../schema.ts'
import type { AcknowledgementDocument } from './acknowledgements.ts'
import type { MaintenanceDocument } from './maintenance.ts'

const Maintenance = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    from: Type.Optional(Type.String()),
    to: Type.Optional(Type.String()),
    cron: Type.Optional(Type.String()),
    duration: Type.Optional(Type.Integer({ description: 'Seconds' })),
    tz: Type.Optional(Type.String()),
    checks: Type.Optional(Type.Array(Type.String())),
    tags: Type.Optional(Type.Array(Type.String())),
    open: Type.Boolean({ description: 'Whether it is open now' }),
  },
  closed,
)

const Attention = Type.Object(
  { acknowledged: Type.Boolean(), snoozed_until: nullable('Null while it is not snoozed') },
  closed,
)

export const suppressionSchemas = { Maintenance, Attention }

const tags = ['channels']
const windowId = '7d2a4c1e-93b0-4f5e-8d6a-1b2c3d4e5f60'
const input = { name: 'upgrade', cron: '0 3 * * SUN', duration: 7200, tz: 'Europe/Riga', tags: ['db'] }
const example = { id: windowId, ...input, open: false }
const window = (description: string) => json(description, ref<MaintenanceDocument>('Maintenance'), example)
const ofWindow = { tags, params: idOf('window', windowId) }

export const listMaintenance = {
  operationId: 'listMaintenance',
  tags,
  summary: 'Maintenance windows, in order of creation',
  response: {
    200: json('The windows', Type.Object({ maintenance: Type.Array(ref<MaintenanceDocument>('Maintenance')) }), {
      maintenance: [example],
    }),
  },
  refusals: refusals(401, 429),
}

export const createMaintenance = {
  operationId: 'createMaintenance',
  tags,
  summary: 'Suppress alerts for a while: once (from, to) or by cron and duration',
  description: 'For all checks, or for those with one of `tags` and those in `checks`.',
  body: withExample(NewMaintenance, input),
  response: { 201: window('Created') },
  refusals: refusals(400, 401, 409, 429),
}

export const getMaintenance = {
  ...ofWindow,
  operationId: 'getMaintenance',
  summary: 'Read a maintenance window',
  response: { 200: window('The window') },
  refusals: refusals(400, 401, 404, 429),
}

export const replaceMaintenance = {
  ...ofWindow,
  operationId: 'replaceMaintenance',
  summary: 'Replace a maintenance window',
  body: withExample(NewMaintenance, input),
  response: { 200: window('The window after the change') },
  refusals: refusals(400, 401, 404, 429),
}

export const deleteMaintenance = {
  ...ofWindow,
  operationId: 'deleteMaintenance',
  summary: 'Delete a maintenance window',
  response: { 204: nothing('Deleted') },
  refusals: refusals(400, 401, 404, 429),
}

const Snooze = Type.Object({ for: Type.Integer({ minimum: 0, maximum: 365 * 86_400 }) }, closed)
const ofCheck = {
  tags,
  params: idOf('check', exampleCheck),
  response: {
    200: json('What holds', ref<AcknowledgementDocument>('Attention'), { acknowledged: true, snoozed_until: null }),
  },
}

export const getAttention = {
  ...ofCheck,
  operationId: 'getAttention',
  summary: 'Whether the outage is acknowledged, and until when the check is snoozed',
  refusals: refusals(400, 401, 404, 429),
}

export const acknowledge = {
  ...ofCheck,
  operationId: 'acknowledge',
  summary: 'End the reminders and the escalation of the current outage',
  refusals: refusals(400, 401, 404, 409, 429),
}

export const snooze = {
  ...ofCheck,
  operationId: 'snooze',
  summary: 'Suppress the alerts of the check for a number of seconds; 0 ends that',
  body: withExample(Snooze, { for: 3600 }),
  refusals: refusals(400, 401, 404, 429),
}

export const showLink = pageCall('showLink', {
  summary: 'The page of a link in an alert; changes nothing',
  page: 'A page with buttons',
  params: LinkToken,
  statuses: [404, 410],
})

export const acknowledgeByLink = pageCall('acknowledgeByLink', {
  summary: 'Acknowledge the outage of the link',
  page: 'Done',
  params: LinkToken,
  statuses: [404, 409, 410],
})

export const snoozeByLink = pageCall('snoozeByLink', {
  summary: 'Snooze the check of the link',
  page: 'Done',
  params: Type.Object({
    ...LinkToken.properties,
    hours: withExample(Type.Integer({ minimum: 1, maximum: 168 }), 4, 'How long'),
  }),
  statuses: [400, 404, 409, 410],
})
