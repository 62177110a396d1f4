// The attachment that Mattermost and Rocket.Chat adopted from Slack's older messages.

import type { Alert } from '../../messages/alert.ts'
import { fitJson, fitText } from '../../messages/fit.ts'
import { bodyOf, chatMarkdown, chatText, colours, messageOf, unmentioned } from '../../messages/markup.ts'

/** Mattermost stores attachments beside the text, in a field that is small in older versions. */
const attachmentMaxBytes = 7500
/** The limit of a message's text in older versions. */
const textMax = 4000

export function attachmentOf(whole: Alert): object {
  return fitJson(whole, attachmentMaxBytes, (alert) => ({
    color: colours[alert.severity],
    fallback: unmentioned(alert.title),
    title: chatMarkdown.text(alert.title),
    text: bodyOf({ ...alert, facts: [] }, chatMarkdown),
    fields: alert.facts.map(({ label, value }) => ({
      title: chatMarkdown.text(label),
      value: chatMarkdown.text(value),
      short: value.length < 40,
    })),
  }))
}

/** The alert as one text, for a message without an attachment. */
export function textOf(alert: Alert): string {
  return fitText(alert, textMax, (part) => messageOf(part, chatText))
}
