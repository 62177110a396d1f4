// The attachment that Mattermost and Rocket.Chat took over from Slack's older messages.

import type { Alert } from './alert.ts'
import { fitJson } from './fit.ts'
import { bodyOf, chatMarkdown, colours } from './markup.ts'

/** Mattermost keeps attachments beside the text, in a place that holds little in older versions. */
const attachmentMaxBytes = 7500

export function attachmentOf(whole: Alert): object {
  return fitJson(whole, attachmentMaxBytes, (alert) => ({
    color: colours[alert.severity],
    fallback: alert.title,
    title: chatMarkdown.text(alert.title),
    text: bodyOf({ ...alert, facts: [] }, chatMarkdown),
    fields: alert.facts.map(({ label, value }) => ({
      title: label,
      value: chatMarkdown.text(value),
      short: value.length < 40,
    })),
  }))
}
