// Who may send at once. A channel begins with a few slots and gets another with each message that arrives, up to a quarter of all; one that
// fails has a single one until it works. So those that hang hold few, and the others do not wait for them. No kind takes more than three
// quarters: when a vendor is away, there is room for the others.

import type { Call } from '../circuit-breakers/service.ts'

type Share = { underWay: number; width: number }
export type Destined = { channelId: string; kind: string }

export type Slots = ReturnType<typeof createSlots>

export function createSlots(all: number) {
  const widest = Math.max(1, Math.floor(all / 4))
  const firstWidth = Math.max(1, Math.floor(all / 16))
  const ofKindMax = Math.max(1, Math.ceil((all * 3) / 4))
  /** Only of channels that have something under way. */
  const shares = new Map<string, Share>()
  const ofKind = new Map<string, number>()
  let taken = 0

  function shareOf(channelId: string): Share {
    const share = shares.get(channelId) ?? { underWay: 0, width: firstWidth }
    shares.set(channelId, share)
    return share
  }

  return {
    widest,
    free: () => all - taken,

    isFree({ channelId, kind }: Destined): boolean {
      const { underWay, width } = shares.get(channelId) ?? { underWay: 0, width: firstWidth }
      return taken < all && underWay < width && (ofKind.get(kind) ?? 0) < ofKindMax
    },

    busy: () => ({
      channels: [...shares].flatMap(([id, { underWay, width }]) => (underWay >= width ? [id] : [])),
      kinds: [...ofKind].flatMap(([kind, count]) => (count >= ofKindMax ? [kind] : [])),
    }),

    /** Takes one. `watched` is the call with which the channel's share grows and shrinks. */
    take({ channelId, kind }: Destined, call: Call): { watched: Call; leave: () => void } {
      const share = shareOf(channelId)
      share.underWay++
      taken++
      ofKind.set(kind, (ofKind.get(kind) ?? 0) + 1)
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
          taken--
          ofKind.set(kind, (ofKind.get(kind) ?? 1) - 1)
          if (share.underWay === 0) shares.delete(channelId)
        },
      }
    },
  }
}
