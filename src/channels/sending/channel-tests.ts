// A person tests a channel: one immediate attempt, even if the channel is switched off or its circuit breaker is open.
// It stores no delivery. Tests take slots like every other message. A channel has one test at a time, a project a few
// messages per minute.

import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { AppError } from '../../core/errors.ts'
import type { Database } from '../../database/service.ts'
import { atMost } from '../../kit/cache.ts'
import { isoMillis } from '../../kit/instant.ts'
import { type Allowance, allowanceAt } from '../../kit/pace.ts'
import { testMessage } from '../../messages/message.ts'
import * as store from '../channels-store.ts'
import type { Destinations } from './destinations.ts'
import type { MessageSender, SendResult } from './send.ts'
import type { Slots } from './slots.ts'

export type TestResult = { delivered: boolean; error: string | null }

export type ChannelTests = ReturnType<typeof createChannelTests>

/** How many channels of one group are tested at the same time. */
const membersAtOnce = 4
/** A channel of the group whose test has not begun by then is not tested. */
const groupForMs = 30_000
const waitForSlotMs = 10_000
const projectsMax = 10_000

export function createChannelTests(options: {
  database: Database
  sender: Pick<MessageSender, 'send'>
  destinations: Pick<Destinations, 'beginAnyway'>
  slots: Pick<Slots, 'waitForTest'>
  testsPerMinute: number
  siteUrl: () => string
  /** Called when a slot is free again. */
  onFree: () => void
  now: () => number
}) {
  const { database, sender, destinations, slots, siteUrl, now } = options
  const pace = { burst: options.testsPerMinute, perMinute: options.testsPerMinute }
  const underTest = new Set<string>()
  const allowances = new LRUCache<string, Allowance>(atMost(projectsMax))

  /**
   * Counts messages of a project. `inAdvance` may use more than is left: a group counts as many messages as it has
   * channels, and is tested if anything is left.
   */
  function spend(projectId: string, messages: number, inAdvance = false): void {
    const allowance = allowanceAt(pace, allowances.get(projectId), now())
    if (allowance.left < 1 && !inAdvance) {
      const message = `too many tests of channels: at most ${pace.perMinute} messages a minute`
      const retryAfterS = Math.ceil(((1 - allowance.left) * 60) / pace.perMinute)
      throw new AppError('too_many_requests', message, { retryAfterS })
    }
    allowances.set(projectId, { ...allowance, left: allowance.left - messages })
  }

  async function tryOut(channel: store.Channel, signal: AbortSignal): Promise<SendResult> {
    const message = testMessage({ deliveryId: randomUUID(), at: isoMillis(now()), siteUrl: siteUrl() })
    const waiting = AbortSignal.any([signal, AbortSignal.timeout(waitForSlotMs)])
    const request = { channelId: channel.id, kind: channel.kind, projectId: channel.projectId }
    const leave = await slots.waitForTest(request, waiting)
    if (leave === null)
      throw new AppError('unavailable', 'too many messages are being sent, try again shortly', { retryAfterS: 10 })
    try {
      return await sender.send(channel, message, signal, destinations.beginAnyway(channel))
    } finally {
      leave()
      options.onFree()
    }
  }

  /** Throws, without calling `work`, if the channel is already being tested. */
  async function alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    if (underTest.has(id)) throw new AppError('too_many_requests', 'the channel is being tested', { retryAfterS: 1 })
    underTest.add(id)
    try {
      return await work()
    } finally {
      underTest.delete(id)
    }
  }

  async function tryMember(member: store.Channel, deadline: number, signal: AbortSignal): Promise<TestResult> {
    if (performance.now() > deadline) return failed(member, 'not tried, the others took too long')
    try {
      return resultOf(await alone(member.id, () => tryOut(member, signal)), member.name)
    } catch (error) {
      if (error instanceof AppError) return failed(member, error.message)
      throw error
    }
  }

  async function tryMembers(members: readonly store.Channel[], signal: AbortSignal): Promise<TestResult> {
    const deadline = performance.now() + groupForMs
    const results: TestResult[] = []
    const queue = [...members]
    const work = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) results.push(await tryMember(next, deadline, signal))
    }
    await Promise.all(Array.from({ length: membersAtOnce }, work))
    const errors = results.flatMap(({ error }) => error ?? [])
    if (members.length === 0) return { delivered: false, error: 'none of its channels is there any more' }
    if (errors.length === 0) return { delivered: true, error: null }
    return { delivered: false, error: `${errors.length} of ${members.length} failed: ${errors.join('; ')}` }
  }

  /** The test of a group tests each of its channels. */
  return async function test(channel: store.Channel, signal: AbortSignal): Promise<TestResult> {
    return alone(channel.id, async () => {
      spend(channel.projectId, 1)
      const outcome = await tryOut(channel, signal)
      if (outcome.kind !== 'forwarded') return resultOf(outcome)
      const members = await store.findChannels(database, channel.projectId, outcome.channelIds)
      spend(channel.projectId, members.length - 1, true)
      return tryMembers(members, signal)
    })
  }
}

function failed({ name }: store.Channel, error: string): TestResult {
  return { delivered: false, error: `${name}: ${error}` }
}

function resultOf(outcome: SendResult, name?: string): TestResult {
  if (outcome.kind === 'sent' || outcome.kind === 'forwarded') return { delivered: true, error: null }
  const error =
    outcome.kind === 'failed'
      ? outcome.error.message
      : outcome.kind === 'suppressed'
        ? outcome.detail
        : `interrupted by a ${outcome.by}`
  return { delivered: false, error: name === undefined ? error : `${name}: ${error}` }
}
