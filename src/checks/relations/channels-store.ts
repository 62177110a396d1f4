// Which channels get the alerts of a check.

import type { Queryable } from '../../database/connection/client.ts'
import { statement } from '../../database/sql.ts'

const ofProject = statement(
  'check_channels_of_project',
  { id: 'uuid', name: 'text' },
  'SELECT id, name FROM channels WHERE project_id = $1 ORDER BY created_at, id',
)

export async function selectChannelNames(on: Queryable, projectId: string): Promise<{ id: string; name: string }[]> {
  return on.query(ofProject, [projectId])
}

const ofCheck = statement(
  'check_channels_of_check',
  { id: 'uuid' },
  'SELECT channel_id AS id FROM check_channels WHERE check_id = $1',
)

/** Sorted. */
export async function selectChannelIds(on: Queryable, checkId: string): Promise<string[]> {
  return (await on.query(ofCheck, [checkId])).map(({ id }) => id).sort()
}

const clear = statement(
  'check_channels_clear',
  'DELETE FROM check_channels WHERE check_id = $1 AND channel_id <> ALL($2::uuid[])',
)
const assign = statement(
  'check_channels_assign',
  'INSERT INTO check_channels (check_id, channel_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING',
)

export async function replaceChannels(tx: Queryable, checkId: string, channelIds: readonly string[]): Promise<void> {
  await tx.query(clear, [checkId, channelIds])
  await tx.query(assign, [checkId, channelIds])
}

// The lock steps over checks that are being deleted, whose foreign key would break the statement.
const attach = statement(
  'check_channels_attach',
  `WITH m AS (SELECT id FROM checks WHERE project_id = $1 ORDER BY id FOR KEY SHARE)
   INSERT INTO check_channels (check_id, channel_id) SELECT m.id, $2 FROM m ON CONFLICT DO NOTHING`,
)

export async function attachToAllChecks(tx: Queryable, projectId: string, channelId: string): Promise<void> {
  await tx.query(attach, [projectId, channelId])
}
