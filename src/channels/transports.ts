import { call } from './transports/call.ts'
import { discord } from './transports/chat/discord.ts'
import { googlechat } from './transports/chat/googlechat.ts'
import { matrix } from './transports/chat/matrix.ts'
import { mattermost } from './transports/chat/mattermost.ts'
import { msteams } from './transports/chat/msteams.ts'
import { rocketchat } from './transports/chat/rocketchat.ts'
import { signal } from './transports/chat/signal.ts'
import { slack } from './transports/chat/slack.ts'
import { telegram } from './transports/chat/telegram.ts'
import { zulip } from './transports/chat/zulip.ts'
import { email } from './transports/email.ts'
import { group } from './transports/group.ts'
import { alertmanager } from './transports/incidents/alertmanager.ts'
import { github } from './transports/incidents/github.ts'
import { jsm } from './transports/incidents/jsm.ts'
import { opsgenie } from './transports/incidents/opsgenie.ts'
import { pagerduty } from './transports/incidents/pagerduty.ts'
import { victorops } from './transports/incidents/victorops.ts'
import { apprise } from './transports/push/apprise.ts'
import { gotify } from './transports/push/gotify.ts'
import { ntfy } from './transports/push/ntfy.ts'
import { pushbullet } from './transports/push/pushbullet.ts'
import { pushover } from './transports/push/pushover.ts'
import { shell } from './transports/shell.ts'
import { sms } from './transports/sms.ts'
import { webhook } from './transports/webhook.ts'
import type { Transport } from './wire/transport.ts'

export const transports = {
  alertmanager,
  apprise,
  call,
  discord,
  email,
  github,
  googlechat,
  gotify,
  group,
  jsm,
  matrix,
  mattermost,
  msteams,
  ntfy,
  opsgenie,
  pagerduty,
  pushbullet,
  pushover,
  rocketchat,
  shell,
  signal,
  slack,
  sms,
  telegram,
  victorops,
  webhook,
  zulip,
} satisfies Record<string, Transport>
