import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkOf } from '../../src/kit/network.ts'

test('the network of an address is its prefix', () => {
  const table: [address: string, v4Bits: number, v6Bits: number, network: string][] = [
    ['203.0.113.77', 24, 48, '203.0.113.0'],
    ['203.0.113.77', 32, 64, '203.0.113.77'],
    ['::ffff:203.0.113.77', 24, 48, '203.0.113.0'],
    ['2001:db8:1:2:3:4:5:6', 24, 64, '2001:db8:1:2::'],
    ['2001:db8:1:2:3:4:5:6', 24, 48, '2001:db8:1::'],
    ['2001:0DB8::5', 24, 64, '2001:db8:0:0::'],
    ['::1', 24, 64, '0:0:0:0::'],
    ['fe80::1%eth0', 24, 64, 'fe80:0:0:0::'],
    ['2001:db8::1', 24, 128, '2001:db8:0:0:0:0:0:1'],
    ['unknown', 24, 64, 'unknown'],
  ]
  for (const [address, v4Bits, v6Bits, network] of table) assert.equal(networkOf(address, v4Bits, v6Bits), network)
})
