// Which channels a monitor's alerts go to.

import type { Queryable, Statement } from '../database/client.ts'

const statement = (name: string, text: string): Statement => ({ name: `monitor_channels_${name}`, text })

const ofProject = statement('of_project', 'SELECT id, name FROM channels WHERE project_id = $1 ORDER BY created_at, id')

export async function selectChannelNames(on: Queryable, projectId: string): Promise<{ id: string; name: string }[]> {
  return on.query(ofProject, [projectId])
}

const ofMonitor = statement('of_monitor', 'SELECT channel_id AS id FROM monitor_channels WHERE monitor_id = $1')

/** Sorted. */
export async function selectChannelIds(on: Queryable, monitorId: string): Promise<string[]> {
  return (await on.query<{ id: string }>(ofMonitor, [monitorId])).map(({ id }) => id).sort()
}

const clear = statement('clear', 'DELETE FROM monitor_channels WHERE monitor_id = $1 AND channel_id <> ALL($2::uuid[])')
const assign = statement(
  'assign',
  'INSERT INTO monitor_channels (monitor_id, channel_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING',
)

export async function replaceChannels(tx: Queryable, monitorId: string, channelIds: readonly string[]): Promise<void> {
  await tx.query(clear, [monitorId, channelIds])
  await tx.query(assign, [monitorId, channelIds])
}
