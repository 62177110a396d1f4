// The one gate: whatever goes out to a destination that a user chose takes a slot. A channel begins with a few and gets another with each
// message that arrives, up to a quarter of all; one that fails has a single one until it works. No kind takes more than three quarters: when a
// vendor is away, there is room for the others. A project has at most twice as many as it leaves free, of all and of each kind, and the last
// one is for a project that has none: however many destinations of some hang, whoever comes anew finds a slot.

import type { Call } from '../circuit-breakers/service.ts'

type Share = { underWay: number; width: number }
export type Destined = { channelId: string; kind: string; projectId: string }
type Waiting = { destined: Destined; admit: (leave: () => void) => void }

export type Slots = ReturnType<typeof createSlots>

export function createSlots(all: number) {
  const widest = Math.max(1, Math.floor(all / 4))
  const firstWidth = Math.max(1, Math.floor(all / 16))
  const ofKindMax = Math.max(1, Math.ceil((all * 3) / 4))
  const testsMax = Math.max(1, Math.floor(all / 4))
  /** Only of channels that have something under way. */
  const shares = new Map<string, Share>()
  const ofKind = createCounts()
  const ofProject = createCounts()
  const ofProjectAndKind = createCounts()
  const waiting = new Set<Waiting>()
  let taken = 0
  let tests = 0

  const pairOf = ({ projectId, kind }: Pick<Destined, 'projectId' | 'kind'>) => `${projectId}/${kind}`

  function shareOf(channelId: string): Share {
    const share = shares.get(channelId) ?? { underWay: 0, width: firstWidth }
    shares.set(channelId, share)
    return share
  }

  function hasRoom(destined: Destined): boolean {
    const { projectId, kind } = destined
    const freeOfKind = ofKindMax - ofKind.get(kind)
    return mayTake(ofProject.get(projectId), all - taken) && mayTake(ofProjectAndKind.get(pairOf(destined)), freeOfKind)
  }

  function occupy(destined: Destined): () => void {
    const counts = [
      [ofKind, destined.kind],
      [ofProject, destined.projectId],
      [ofProjectAndKind, pairOf(destined)],
    ] as const
    taken++
    for (const [count, key] of counts) count.add(key, 1)
    return () => {
      taken--
      for (const [count, key] of counts) count.add(key, -1)
      admitTests()
    }
  }

  /** Before anything else that waits for a slot: a person waits for the answer. */
  function admitTests(): void {
    for (const one of waiting) {
      if (tests >= testsMax) return
      if (!hasRoom(one.destined)) continue
      waiting.delete(one)
      tests++
      const leave = occupy(one.destined)
      one.admit(() => {
        tests--
        leave()
      })
    }
  }

  return {
    widest,
    free: () => all - taken,

    isFree(destined: Destined): boolean {
      const { underWay, width } = shares.get(destined.channelId) ?? { underWay: 0, width: firstWidth }
      return underWay < width && hasRoom(destined)
    },

    /** Who has their share; `pairs` are a project's id and a kind, with a slash between. */
    busy: () => ({
      channels: [...shares].flatMap(([id, { underWay, width }]) => (underWay >= width ? [id] : [])),
      kinds: ofKind.full((count) => count >= ofKindMax),
      projects: ofProject.full((count) => !mayTake(count, all - taken)),
      pairs: ofProjectAndKind.full((count, pair) => {
        const kind = pair.slice(pair.indexOf('/') + 1)
        return !mayTake(count, ofKindMax - ofKind.get(kind))
      }),
    }),

    /** Takes one. `watched` is the call with which the channel's share grows and shrinks. */
    take(destined: Destined, call: Call): { watched: Call; leave: () => void } {
      const share = shareOf(destined.channelId)
      share.underWay++
      const vacate = occupy(destined)
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
          if (share.underWay === 0) shares.delete(destined.channelId)
          vacate()
        },
      }
    },

    /**
     * Waits for one for a test, in turn; tests have a quarter of all, whatever the channel's share. Resolves with what gives it back, or null
     * once the signal has aborted.
     */
    async waitForTest(destined: Destined, signal: AbortSignal): Promise<(() => void) | null> {
      if (signal.aborted) return null
      return new Promise((resolve) => {
        const one: Waiting = {
          destined,
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
