import { alertmanager } from './transports/alertmanager.ts'
import { apprise } from './transports/apprise.ts'
import { call } from './transports/call.ts'
import { discord } from './transports/discord.ts'
import { email } from './transports/email.ts'
import { github } from './transports/github.ts'
import { googlechat } from './transports/googlechat.ts'
import { gotify } from './transports/gotify.ts'
import { group } from './transports/group.ts'
import { jsm } from './transports/jsm.ts'
import { matrix } from './transports/matrix.ts'
import { mattermost } from './transports/mattermost.ts'
import { msteams } from './transports/msteams.ts'
import { ntfy } from './transports/ntfy.ts'
import { opsgenie } from './transports/opsgenie.ts'
import { pagerduty } from './transports/pagerduty.ts'
import { pushbullet } from './transports/pushbullet.ts'
import { pushover } from './transports/pushover.ts'
import { rocketchat } from './transports/rocketchat.ts'
import { shell } from './transports/shell.ts'
import { signal } from './transports/signal.ts'
import { slack } from './transports/slack.ts'
import { sms } from './transports/sms.ts'
import { telegram } from './transports/telegram.ts'
import { victorops } from './transports/victorops.ts'
import { webhook } from './transports/webhook.ts'
import { zulip } from './transports/zulip.ts'
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
