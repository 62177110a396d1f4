// One alert goes through once: the failure of a check becomes a flip, a delivery, and a message. The message goes to
// the service itself, to the address of another check, so that no receiver is needed. Many deployments forbid
// destinations in private networks; then the alert is snoozed and goes as far as its delivery, because a delivery that
// fails would be an alert to the operator.

import { CommandError } from '../errors.ts'
import type { Row } from '../resources/print.ts'
import { type OwnChecks, ping, until, type Verification } from './steps.ts'

const snoozeS = 3600

/** What it creates is in `made`, also if it throws. */
export async function alert(
  run: Verification,
  { job, receiver }: OwnChecks,
  made: { channel?: string },
): Promise<string> {
  const { server } = run
  const tested = await testOwnChannel(run)
  const obstacle = await createChannel(run, receiver, made)
  if (made.channel !== undefined) await server.post(`/api/v3/checks/${job}`, { channels: made.channel })
  if (obstacle !== undefined) await server.post(`/api/v3/checks/${job}/snooze/`, { for: snoozeS })
  await ping(run, job, '/fail', '')
  await until(run, 'the failure makes no flip', async () => {
    const { flips } = (await server.get(`/api/v3/checks/${job}/flips/`)) as { flips: Row[] }
    return flips.some(({ up }) => up === 0)
  })
  if (made.channel === undefined) return `${tested}the check is down; no channel to the service itself: ${obstacle}`
  const status = await deliveryOf(run, job)
  if (obstacle !== undefined) {
    if (status !== 'suppressed') throw new CommandError(`the snoozed alert is ${status}`)
    return `${tested}the check is down and its alert is a delivery, snoozed because nothing can be sent to the service itself: ${obstacle}`
  }
  await until(run, 'the alert is not received', async () => (await heartbeatsOf(run, receiver)) > 1)
  const received = (await heartbeatsOf(run, receiver)) - 1
  if (received !== 1) throw new CommandError(`the alert was received ${received} times`)
  return `${tested}the check is down, and its alert was sent and received once`
}

async function testOwnChannel({ server, channel }: Verification): Promise<string> {
  if (channel === undefined) return ''
  const { delivered, error } = (await server.call('POST', `/api/v3/channels/${channel}/test/`)) as Row
  if (delivered !== true) throw new CommandError(`the test message of --channel is not delivered: ${error}`)
  return 'the test message of --channel is delivered; '
}

/** Why no alert can be sent to the service itself; undefined if it can, and its test message has been received. */
async function createChannel(
  { server, tag }: Verification,
  receiver: string,
  made: { channel?: string },
): Promise<string | undefined> {
  const { ping_url: url } = (await server.get(`/api/v3/checks/${receiver}`)) as Row
  try {
    const settings = { url }
    const { id } = (await server.post('/api/v3/channels/', { kind: 'webhook', name: tag, settings })) as Row
    made.channel = String(id)
  } catch (error) {
    return (error as Error).message
  }
  const { delivered, error } = (await server.call('POST', `/api/v3/channels/${made.channel}/test/`)) as Row
  return delivered === true ? undefined : String(error)
}

/** The status of the one delivery once it has an outcome. */
async function deliveryOf(run: Verification, job: string): Promise<string> {
  let found: Row[] = []
  await until(run, 'the alert has no outcome', async () => {
    const answer = (await run.server.get(`/api/v3/deliveries/?check=${job}`)) as { deliveries: Row[] }
    found = answer.deliveries
    return found.length > 0 && found.every(({ status }) => ['sent', 'dead', 'suppressed'].includes(String(status)))
  })
  const [first, ...more] = found
  if (more.length > 0) throw new CommandError(`the failure makes ${found.length} deliveries instead of one`)
  if (first?.status === 'dead') throw new CommandError(`the alert was not delivered: ${first.last_error}`)
  return String(first?.status)
}

const heartbeatsOf = async ({ server }: Verification, check: string) =>
  Number(((await server.get(`/api/v3/checks/${check}`)) as Row).n_pings)
