// Limits the bytes of bodies that one process holds at once. A slow sender holds what has arrived for as long as a
// request may take, at next to no cost. So, when there is no room, incomplete bodies are dropped, the oldest of the
// sender that holds most: neither a few slow senders nor one tenant can block the others.

export type Hold = {
  /** More of the body has arrived. This body itself may be the one that is dropped. */
  add(bytes: number): void
  /**
   * The body is complete and stays in memory until its release. False if its holder already has the most bytes that one
   * may have: then it is released.
   */
  arrived(): boolean
  release(): void
}

export type BodyRoom = { readonly held: number; begin(holder: () => string, giveWay: () => void): Hold }

type HeldBody = { bytes: number; arrives: boolean; holder: string | undefined; giveWay: () => void }
type Holder = { bytes: number; arriving: HeldBody[] }

/** At least this share of all room is freed at once: in a flood not every packet must search for the next body. */
const madeAtOnce = 1 / 16
/** The share that the complete bodies of one holder may use together, if it has several. */
const ofOneHolder = 1 / 2

/** `holder` returns whose body it is, and is only called if necessary; `giveWay` drops the body. */
export function createBodyRoom(maxBytes: number): BodyRoom {
  /** In the order of their beginning. */
  const bodies = new Map<HeldBody, () => string>()
  let held = 0

  function remove(body: HeldBody): void {
    if (bodies.delete(body)) held -= body.bytes
  }

  function nameOf(body: HeldBody, holder: () => string): string {
    body.holder ??= holder()
    return body.holder
  }

  function holders(): Holder[] {
    const byName = new Map<string, Holder>()
    for (const [body, holder] of bodies) {
      const name = nameOf(body, holder)
      const known = byName.get(name) ?? { bytes: 0, arriving: [] }
      byName.set(name, known)
      known.bytes += body.bytes
      if (body.arrives) known.arriving.push(body)
    }
    for (const { arriving } of byName.values()) arriving.reverse()
    return [...byName.values()]
  }

  function makeRoom(): void {
    const all = holders()
    while (held > maxBytes * (1 - madeAtOnce)) {
      let largest: Holder | undefined
      for (const one of all) if (one.arriving.length > 0 && one.bytes > (largest?.bytes ?? -1)) largest = one
      const oldest = largest?.arriving.pop()
      if (largest === undefined || oldest === undefined) return
      largest.bytes -= oldest.bytes
      remove(oldest)
      oldest.giveWay()
    }
  }

  function inWorkOf(name: string): number {
    let bytes = 0
    for (const [body, holder] of bodies) if (!body.arrives && nameOf(body, holder) === name) bytes += body.bytes
    return bytes
  }

  return {
    get held() {
      return held
    },

    begin(holder, giveWay) {
      const body: HeldBody = { bytes: 0, arrives: true, holder: undefined, giveWay }
      bodies.set(body, holder)
      return {
        add(bytes) {
          if (!bodies.has(body)) return
          body.bytes += bytes
          held += bytes
          if (held > maxBytes) makeRoom()
        },
        arrived() {
          const inWork = inWorkOf(nameOf(body, holder))
          body.arrives = false
          const isAdmitted = inWork === 0 || inWork + body.bytes <= maxBytes * ofOneHolder
          if (!isAdmitted) remove(body)
          return isAdmitted
        },
        release: () => remove(body),
      }
    },
  }
}
