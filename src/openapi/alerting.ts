// Our own calls on who hears what and when.

import { Type } from 'typebox'
import { channelId, uuid } from './examples.ts'
import { json, nothing, type Operations, type Parameter, ref, refusals, text } from './operation.ts'

const path = (of: string, example: string): Record<string, Parameter> => ({
  id: { type: 'string', description: `uuid of the ${of}`, example },
})
const windowId = '7d2a4c1e-93b0-4f5e-8d6a-1b2c3d4e5f60'
const input = { name: 'upgrade', cron: '0 3 * * SUN', duration: 7200, tz: 'Europe/Riga', tags: ['db'] }
const window = { id: windowId, ...input, open: false }
const deliveryId = '9d1f2c8e-3b53-4a0e-8a55-2f7c1b0d9e11'

const maintenance: Operations = {
  'GET /api/v3/maintenance/': {
    id: 'listMaintenance',
    tag: 'channels',
    summary: 'Maintenance windows, in order of creation',
    answers: {
      200: json('The windows', Type.Object({ maintenance: Type.Array(Type.Unsafe(ref('Maintenance'))) }), {
        maintenance: [window],
      }),
      ...refusals('ours', 401, 429),
    },
  },
  'POST /api/v3/maintenance/': {
    id: 'createMaintenance',
    tag: 'channels',
    summary: 'Tell nobody for a while: once (from, to) or by cron and duration',
    description: 'For all checks, or for those with one of `tags` and those in `checks`.',
    body: { example: input },
    answers: { 201: json('Created', ref('Maintenance'), window), ...refusals('ours', 400, 401, 409, 429) },
  },
  'GET /api/v3/maintenance/:id/': {
    id: 'getMaintenance',
    tag: 'channels',
    summary: 'Read a maintenance window',
    path: path('window', windowId),
    answers: { 200: json('The window', ref('Maintenance'), window), ...refusals('ours', 400, 401, 404, 429) },
  },
  'PUT /api/v3/maintenance/:id/': {
    id: 'replaceMaintenance',
    tag: 'channels',
    summary: 'Replace a maintenance window',
    path: path('window', windowId),
    body: { example: input },
    answers: { 200: json('As it is now', ref('Maintenance'), window), ...refusals('ours', 400, 401, 404, 429) },
  },
  'DELETE /api/v3/maintenance/:id/': {
    id: 'deleteMaintenance',
    tag: 'channels',
    summary: 'Delete a maintenance window',
    path: path('window', windowId),
    answers: { 204: nothing('Deleted'), ...refusals('ours', 400, 401, 404, 429) },
  },
}

const attention = { acknowledged: true, snoozed_until: null }
const token: Record<string, Parameter> = {
  token: {
    type: 'string',
    description: 'As an alert carries it',
    example: 'ASBKc_D683YsKfSqJefassND7CjOY_gknpYBKpipq_thebzY0SjEKLm85hXztq6_9hxXCZUOsLAWnY2Ju0i18A',
  },
}
const page = (what: string) => text(what, '<!doctype html><html lang="en">…</html>', 'text/html')

/** Failures of a link: a page for browsers, which accept HTML, and JSON for programs. */
const linkRefusals = (...statuses: number[]) =>
  Object.fromEntries(
    Object.entries(refusals('ours', ...statuses)).map(([status, { description, content }]) => [
      status,
      { description, content: { ...content, ...page('').content } },
    ]),
  )

const unsubscribing: Record<string, Parameter> = {
  id: { type: 'string', description: 'uuid of the channel', example: channelId },
  signature: {
    type: 'string',
    pattern: '^[A-Za-z0-9_-]+$',
    description: 'What makes the link one of ours',
    example: 'Rk1fVG9rZW5TaWduYXR1cmU',
  },
}

const attentions: Operations = {
  'GET /api/v3/checks/:id/attention/': {
    id: 'getAttention',
    tag: 'channels',
    summary: 'Whether somebody has seen the outage, and until when the check is snoozed',
    path: path('check', uuid),
    answers: { 200: json('What holds', ref('Attention'), attention), ...refusals('ours', 400, 401, 404, 429) },
  },
  'POST /api/v3/checks/:id/acknowledge/': {
    id: 'acknowledge',
    tag: 'channels',
    summary: 'End the reminders and the escalation of the outage that lasts',
    path: path('check', uuid),
    answers: { 200: json('What holds', ref('Attention'), attention), ...refusals('ours', 400, 401, 404, 409, 429) },
  },
  'POST /api/v3/checks/:id/snooze/': {
    id: 'snooze',
    tag: 'channels',
    summary: 'Tell nobody of the check for so many seconds; 0 ends it',
    path: path('check', uuid),
    body: { example: { for: 3600 } },
    answers: { 200: json('What holds', ref('Attention'), attention), ...refusals('ours', 400, 401, 404, 429) },
  },
  'GET /checks/:token': {
    id: 'lookAtCheck',
    tag: 'channels',
    summary: 'How a check stands, for who has the link of an alert; changes nothing',
    path: token,
    answers: {
      200: page('A page with the status, since when, what is expected and the last heartbeats'),
      ...linkRefusals(404, 410),
    },
  },
  'GET /acknowledge/:token': {
    id: 'showLink',
    tag: 'channels',
    summary: 'The page of a link in an alert; changes nothing',
    path: token,
    answers: { 200: page('A page with buttons'), ...linkRefusals(404, 410) },
  },
  'POST /acknowledge/:token': {
    id: 'acknowledgeByLink',
    tag: 'channels',
    summary: 'Acknowledge the outage of the link',
    path: token,
    answers: { 200: page('Done'), ...linkRefusals(404, 409, 410) },
  },
  'GET /confirm/:token': {
    id: 'showConfirmation',
    tag: 'channels',
    summary: 'The page of the link in the mail that asks a recipient; changes nothing',
    path: token,
    answers: { 200: page('A page with a button'), ...linkRefusals(404, 410) },
  },
  'POST /confirm/:token': {
    id: 'confirmRecipient',
    tag: 'channels',
    summary: 'Confirm that the recipient of the link wants mails',
    path: token,
    answers: { 200: page('Done'), ...linkRefusals(404, 410) },
  },
  'GET /api/v3/channels/:id/unsubscribe/:signature': {
    id: 'showUnsubscribing',
    tag: 'channels',
    summary: 'The page of the link in a mail with which its recipient ends it; changes nothing',
    path: unsubscribing,
    answers: { 200: page('A page with a button'), ...linkRefusals(400, 404) },
  },
  'POST /api/v3/channels/:id/unsubscribe/:signature': {
    id: 'unsubscribe',
    tag: 'channels',
    summary: 'Switch the channel of the link off',
    path: unsubscribing,
    answers: { 200: page('Done'), ...linkRefusals(400, 404) },
  },
  'POST /acknowledge/:token/snooze/:hours': {
    id: 'snoozeByLink',
    tag: 'channels',
    summary: 'Snooze the check of the link',
    path: { ...token, hours: { type: 'integer', description: 'How long', example: 4 } },
    answers: { 200: page('Done'), ...linkRefusals(400, 404, 409, 410) },
  },
}

const others: Operations = {
  'POST /api/v3/deliveries/:id/resend/': {
    id: 'resendDelivery',
    tag: 'channels',
    summary: 'Begin another day of attempts at an alert that was given up',
    path: path('delivery', deliveryId),
    answers: {
      200: json('As it is now', ref('Delivery'), {
        id: deliveryId,
        check: uuid,
        channel: channelId,
        event: 'down',
        flip: { at: '2026-11-24T03:25:00.000+00:00', from: 'up', to: 'down', reason: 'timeout' },
        status: 'pending',
        attempts: 31,
        next_attempt: '2026-11-25T04:00:00.000+00:00',
        waiting_for: null,
        last_error: 'the destination answered 503',
        request_id: null,
      }),
      ...refusals('ours', 400, 401, 404, 409, 429),
    },
  },
}

export const alertingOperations: Operations = { ...maintenance, ...attentions, ...others }
