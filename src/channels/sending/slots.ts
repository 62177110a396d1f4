// Every message to a destination that a user chose takes a slot. A channel begins with a few slots and gets another
// with each message that arrives, up to a quarter of all; a channel that fails has a single slot until it works. No
// kind takes more than three quarters, so that slots remain for the others when a vendor is unavailable. A project has
// at most twice as many slots as it leaves free, of all and of each kind, and the last one is for a project that has
// none: however many destinations of other projects hang, a project that begins to send finds a slot.

import type { BreakerCall } from '../../circuit-breakers/service.ts'

type SlotShare = { underWay: number; width: number }
export type SlotRequest = { channelId: string; kind: string; projectId: string }
type WaitingRequest = { request: SlotRequest; admit: (leave: () => void) => void }

export type Slots = ReturnType<typeof createSlots>

export function createSlots(all: number) {
  const widest = Math.max(1, Math.floor(all / 4))
  const firstWidth = Math.max(1, Math.floor(all / 16))
  const ofKindMax = Math.max(1, Math.ceil((all * 3) / 4))
  const testsMax = Math.max(1, Math.floor(all / 4))
  /** Only channels with a message in progress. */
  const shares = new Map<string, SlotShare>()
  const ofKind = createCounts()
  const ofProject = createCounts()
  const ofProjectAndKind = createCounts()
  const waiting = new Set<WaitingRequest>()
  let taken = 0
  let tests = 0

  const pairOf = ({ projectId, kind }: Pick<SlotRequest, 'projectId' | 'kind'>) => `${projectId}/${kind}`

  function shareOf(channelId: string): SlotShare {
    const share = shares.get(channelId) ?? { underWay: 0, width: firstWidth }
    shares.set(channelId, share)
    return share
  }

  function hasRoom(request: SlotRequest): boolean {
    const { projectId, kind } = request
    const freeOfKind = ofKindMax - ofKind.get(kind)
    return mayTake(ofProject.get(projectId), all - taken) && mayTake(ofProjectAndKind.get(pairOf(request)), freeOfKind)
  }

  function occupy(request: SlotRequest): () => void {
    const counts = [
      [ofKind, request.kind],
      [ofProject, request.projectId],
      [ofProjectAndKind, pairOf(request)],
    ] as const
    taken++
    for (const [count, key] of counts) count.add(key, 1)
    return () => {
      taken--
      for (const [count, key] of counts) count.add(key, -1)
      admitTests()
    }
  }

  /** Tests come before everything else that waits for a slot, because a person waits for the answer. */
  function admitTests(): void {
    for (const one of waiting) {
      if (tests >= testsMax) return
      if (!hasRoom(one.request)) continue
      waiting.delete(one)
      tests++
      const leave = occupy(one.request)
      one.admit(() => {
        tests--
        leave()
      })
    }
  }

  return {
    widest,
    free: () => all - taken,

    isFree(request: SlotRequest): boolean {
      const { underWay, width } = shares.get(request.channelId) ?? { underWay: 0, width: firstWidth }
      return underWay < width && hasRoom(request)
    },

    /** The owners of shares of the slots; `pairs` are a project's id and a kind, joined by a slash. */
    busy: () => ({
      channels: [...shares].flatMap(([id, { underWay, width }]) => (underWay >= width ? [id] : [])),
      kinds: ofKind.full((count) => count >= ofKindMax),
      projects: ofProject.full((count) => !mayTake(count, all - taken)),
      pairs: ofProjectAndKind.full((count, pair) => {
        const kind = pair.slice(pair.indexOf('/') + 1)
        return !mayTake(count, ofKindMax - ofKind.get(kind))
      }),
    }),

    /** Takes a slot. The outcome of `watched` makes the channel's share grow or shrink. */
    take(request: SlotRequest, call: BreakerCall): { watched: BreakerCall; leave: () => void } {
      const share = shareOf(request.channelId)
      share.underWay++
      const vacate = occupy(request)
      return {
        watched: {
          ...call,
          succeed() {
            share.width = Math.min(widest, share.width + 1)
            call.succeed()
          },
          fail(reason) {
            share.width = 1
            call.fail(reason)
          },
        },
        leave() {
          share.underWay--
          if (share.underWay === 0) shares.delete(request.channelId)
          vacate()
        },
      }
    },

    /**
     * Waits in turn for a slot for a test; tests use at most a quarter of all slots, whatever the channel's share.
     * Resolves with the function that returns the slot, or with null once the signal has aborted.
     */
    async waitForTest(request: SlotRequest, signal: AbortSignal): Promise<(() => void) | null> {
      if (signal.aborted) return null
      return new Promise((resolve) => {
        const one: WaitingRequest = {
          request,
          admit(leave) {
            signal.removeEventListener('abort', giveUp)
            resolve(leave)
          },
        }
        const giveUp = () => {
          waiting.delete(one)
          resolve(null)
        }
        signal.addEventListener('abort', giveUp, { once: true })
        waiting.add(one)
        admitTests()
      })
    },
  }
}

function mayTake(own: number, free: number): boolean {
  return own === 0 ? free > 0 : own + 1 <= 2 * (free - 1)
}

function createCounts() {
  const counts = new Map<string, number>()
  return {
    get: (key: string) => counts.get(key) ?? 0,
    add(key: string, change: 1 | -1): void {
      const next = (counts.get(key) ?? 0) + change
      if (next === 0) counts.delete(key)
      else counts.set(key, next)
    },
    full: (isFull: (count: number, key: string) => boolean) =>
      [...counts].flatMap(([key, count]) => (isFull(count, key) ? [key] : [])),
  }
}
