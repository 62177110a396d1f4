/**
 * The network of an address, as `10.1.2.0` or `2001:db8:0:1::`: its first `v4Bits` (a multiple of 8) or `v6Bits` (a
 * multiple of 16). An IPv4 address written as IPv6 counts as IPv4. Any other text is returned unchanged.
 */
export function networkOf(address: string, v4Bits: number, v6Bits: number): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').split('%', 1)[0] ?? ''
  if (/^\d+\.\d+\.\d+\.\d+$/.test(plain)) {
    const kept = v4Bits / 8
    return plain
      .split('.')
      .map((part, i) => (i < kept ? part : '0'))
      .join('.')
  }
  if (!plain.includes(':')) return address
  const [head = '', tail = ''] = plain.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === '' ? [] : tail.split(':')
  const groups = plain.includes('::') ? [...front, ...Array(8 - front.length - back.length).fill('0'), ...back] : front
  const kept = groups.slice(0, v6Bits / 16).map((group: string) => Number.parseInt(group, 16).toString(16))
  return kept.length === 8 ? kept.join(':') : `${kept.join(':')}::`
}
