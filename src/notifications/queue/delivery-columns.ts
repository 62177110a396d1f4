// The words of the columns of a delivery. test/database/schema.test.ts compares them with the constraints of the table.

export const deliveryKinds = ['down', 'up', 'reminder', 'escalation', 'notice', 'confirm'] as const
export type DeliveryKind = (typeof deliveryKinds)[number]

/** Kinds that are about a change of a check. */
export type AlertKind = Exclude<DeliveryKind, 'notice' | 'confirm'>

export const subjectKinds = ['check', 'channel', 'service'] as const
export type SubjectKind = (typeof subjectKinds)[number]

export const deliveryStatuses = ['pending', 'sent', 'retrying', 'dead', 'suppressed'] as const
export type DeliveryStatus = (typeof deliveryStatuses)[number]

/** Temporary reasons: the alert is checked again, and if the outage still lasts a reminder is sent. */
export const passingSuppressions = ['parent', 'maintenance', 'snooze', 'flapping', 'quiet_hours'] as const

/**
 * Why a delivery is not sent. `coalesced`: its recovery reports the outage as well. `settings`: the channel's own
 * settings exclude it.
 */
export const suppressionCodes = [
  ...passingSuppressions,
  'unwanted',
  'outage_unsent',
  'recovered',
  'acknowledged',
  'coalesced',
  'channel_off',
  'channel_deleted',
  'check_deleted',
  'project_deleted',
  'flip_deleted',
  'unconfirmed',
  'settings',
] as const
export type SuppressionCode = (typeof suppressionCodes)[number]

/** `detail` is the reason in words. `until` is when to check again, null if the reason is permanent. */
export type Suppression = { code: SuppressionCode; detail: string; until: number | null }

/** The name of a delivery's message in the API: `reminder:2` is the second numbered reminder of an outage. */
export function eventOf({ kind, ordinal }: { kind: DeliveryKind; ordinal: number }): string {
  return ordinal === 0 ? kind : `${kind}:${ordinal}`
}
