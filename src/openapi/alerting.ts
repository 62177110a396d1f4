// Our own calls around alerts, beside channels: what became of them, and what keeps them quiet.

import { Type } from 'typebox'
import { json, nothing, type Operations, type Parameter, ref, refusals, text } from './operation.ts'
import { channelId, uuid } from './schemas.ts'

const deliveryId = '9d1f2c8e-3b53-4a0e-8a55-2f7c1b0d9e11'
const windowId = '5b0c7f62-6c3f-4a83-9b0b-1b6c9a3d2e11'

const delivery = {
  id: deliveryId,
  check: uuid,
  channel: channelId,
  event: 'down',
  flip: { at: '2026-11-24T03:25:00.000+00:00', from: 'up', to: 'down', reason: 'timeout' },
  status: 'retrying',
  attempts: 2,
  next_attempt: '2026-11-24T03:25:17.210+00:00',
  last_error: 'the destination answered 503',
  request_id: null,
}

const deliveries: Operations = {
  'GET /api/v3/deliveries/': {
    id: 'listDeliveries',
    tag: 'channels',
    summary: 'Every alert and what became of it, the newest first',
    answers: {
      200: json(
        'The deliveries',
        Type.Object({
          deliveries: Type.Array(Type.Unsafe(ref('Delivery'))),
          next: Type.Union([Type.String(), Type.Null()], { description: 'What `after` is for the page behind' }),
        }),
        { deliveries: [delivery], next: null },
      ),
      ...refusals('ours', 400, 401, 429),
    },
  },
  'POST /api/v3/deliveries/:id/resend/': {
    id: 'resendDelivery',
    tag: 'channels',
    summary: 'Send an alert again that was given up',
    path: { id: { type: 'string', description: 'uuid of the delivery', example: deliveryId } },
    answers: {
      200: json('As it is now', ref('Delivery'), { ...delivery, status: 'pending', attempts: 0, last_error: null }),
      ...refusals('ours', 400, 401, 404, 409, 429),
    },
  },
}

const window = {
  name: 'move of the data centre',
  from: '2026-12-01T22:00:00+00:00',
  to: '2026-12-02T04:00:00+00:00',
  tags: ['db'],
}
const windowPath: Record<string, Parameter> = {
  id: { type: 'string', description: 'uuid of the window', example: windowId },
}
const kept = { id: windowId, ...window, open: false }

const maintenance: Operations = {
  'GET /api/v3/maintenance/': {
    id: 'listMaintenance',
    tag: 'channels',
    summary: 'List maintenance windows',
    answers: {
      200: json('The windows', Type.Object({ maintenance: Type.Array(Type.Unsafe(ref('Maintenance'))) }), {
        maintenance: [kept],
      }),
      ...refusals('ours', 401, 429),
    },
  },
  'POST /api/v3/maintenance/': {
    id: 'createMaintenance',
    tag: 'channels',
    summary: 'Create a maintenance window, in which nobody is told',
    description:
      'Once (`from`, `to`) or again and again (`cron`, `duration`, `tz`); for all checks, or those of `checks` or `tags`.',
    body: { example: window },
    answers: { 201: json('Created', ref('Maintenance'), kept), ...refusals('ours', 400, 401, 429) },
  },
  'GET /api/v3/maintenance/:id/': {
    id: 'getMaintenance',
    tag: 'channels',
    summary: 'Read a maintenance window',
    path: windowPath,
    answers: { 200: json('The window', ref('Maintenance'), kept), ...refusals('ours', 400, 401, 404, 429) },
  },
  'PUT /api/v3/maintenance/:id/': {
    id: 'replaceMaintenance',
    tag: 'channels',
    summary: 'Replace a maintenance window',
    path: windowPath,
    body: { example: { name: 'every Sunday', cron: '0 2 * * SUN', duration: 7200, tz: 'Europe/Riga' } },
    answers: { 200: json('As it is now', ref('Maintenance'), kept), ...refusals('ours', 400, 401, 404, 429) },
  },
  'DELETE /api/v3/maintenance/:id/': {
    id: 'deleteMaintenance',
    tag: 'channels',
    summary: 'Delete a maintenance window',
    path: windowPath,
    answers: { 204: nothing('Deleted'), ...refusals('ours', 400, 401, 404, 429) },
  },
}

const checkPath: Record<string, Parameter> = { id: { type: 'string', description: 'uuid of the check', example: uuid } }
const tokenPath: Record<string, Parameter> = {
  token: { type: 'string', description: 'As it stands in the alert', example: `${uuid}.7.mfq1x2k0.Zm9v` },
}
const attention = (acknowledged: boolean, until: string | null) =>
  json(
    'Whether somebody has acknowledged the outage, and until when the check is snoozed',
    Type.Object({ acknowledged: Type.Boolean(), snoozed_until: Type.Union([Type.String(), Type.Null()]) }),
    { acknowledged, snoozed_until: until },
  )
const page = (description: string) => text(description, '<!doctype html>', 'text/html')

const attentions: Operations = {
  'GET /api/v3/checks/:id/attention/': {
    id: 'getAttention',
    tag: 'channels',
    summary: 'Whether somebody attends to the outage of a check',
    path: checkPath,
    answers: { 200: attention(false, null), ...refusals('ours', 400, 401, 403, 404, 429) },
  },
  'POST /api/v3/checks/:id/acknowledge/': {
    id: 'acknowledge',
    tag: 'channels',
    summary: 'Acknowledge an outage: its reminders and escalation end',
    path: checkPath,
    answers: { 200: attention(true, null), ...refusals('ours', 400, 401, 403, 404, 409, 429) },
  },
  'POST /api/v3/checks/:id/snooze/': {
    id: 'snooze',
    tag: 'channels',
    summary: 'Tell nobody about a check for so many seconds; 0 ends that',
    path: checkPath,
    body: { example: { for: 14_400 } },
    answers: {
      200: attention(false, '2026-11-24T13:12:01.004+00:00'),
      ...refusals('ours', 400, 401, 403, 404, 429),
    },
  },
  'GET /acknowledge/:token': {
    id: 'acknowledgePage',
    tag: 'channels',
    summary: 'The page behind the link in an alert; it changes nothing',
    path: tokenPath,
    answers: { 200: page('A page with buttons'), ...refusals('ours', 404) },
  },
  'POST /acknowledge/:token': {
    id: 'acknowledgeByLink',
    tag: 'channels',
    summary: 'Acknowledge an outage by the link in its alert',
    path: tokenPath,
    answers: { 200: page('Acknowledged'), ...refusals('ours', 404, 409) },
  },
  'POST /acknowledge/:token/snooze/:hours': {
    id: 'snoozeByLink',
    tag: 'channels',
    summary: 'Snooze a check by the link in its alert',
    path: {
      ...tokenPath,
      hours: { type: 'integer', minimum: 1, maximum: 168, description: 'For so many hours', example: 4 },
    },
    answers: { 200: page('Snoozed'), ...refusals('ours', 400, 404) },
  },
}

export const alertingOperations: Operations = { ...deliveries, ...maintenance, ...attentions }
