import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnectionLimits, connectionRoom } from '../../../src/database/connection/connection-plan.ts'

const plan = { poolMax: 20, replicas: 3, replicasSurge: 1, reserve: 5 }
const limits: ConnectionLimits = { maxConnections: 88, reserved: 3, roleLimit: null, databaseLimit: null, inUse: 0 }

test('the start warns if the pools of all replicas and of a roll-out exceed the connections of the server', () => {
  assert.deepEqual(connectionRoom(plan, limits), { needed: 80, available: 80, isShort: false })
  const table: [string, boolean, Partial<typeof plan>, Partial<ConnectionLimits>][] = [
    ['one less', true, {}, { maxConnections: 87 }],
    ['one more for superusers', true, {}, { reserved: 4 }],
    ['one more for others', true, { reserve: 6 }, {}],
    ['one more replica', true, { replicas: 4 }, {}],
    ['no surge', false, { replicasSurge: 0 }, { maxConnections: 68 }],
    ['the limit of the role', true, {}, { roleLimit: 84 }],
    ['a limit of the role that is enough', false, {}, { roleLimit: 85 }],
    ['the limit of the database', true, {}, { databaseLimit: 10 }],
    ['nearly all in use by others', true, {}, { inUse: 66 }],
    ['one pool is free', false, {}, { inUse: 65 }],
  ]
  for (const [what, isShort, otherPlan, otherLimits] of table) {
    assert.equal(connectionRoom({ ...plan, ...otherPlan }, { ...limits, ...otherLimits }).isShort, isShort, what)
  }
})
