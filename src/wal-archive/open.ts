// The archive that the settings name.

import type { Config } from '../config/load.ts'
import { createObjectStorage } from '../object-storage/objects.ts'
import { ArchiveError, createArchive } from './archive.ts'

export type OpenArchive = ReturnType<typeof openArchive>

/** Asks nothing of the storage. */
export function openArchive({ backup }: Pick<Config, 'backup'>, signal: AbortSignal) {
  const { s3Bucket, s3AccessKeyId, s3SecretAccessKey, s3Region, s3Prefix } = backup
  if (s3Bucket === undefined || s3AccessKeyId === undefined || s3SecretAccessKey === undefined)
    throw new ArchiveError('there is no archive: set BACKUP_S3_BUCKET and its access key')
  const endpoint = backup.s3Endpoint ?? `https://s3.${s3Region}.amazonaws.com`
  const credentials = { accessKeyId: s3AccessKeyId, secretAccessKey: s3SecretAccessKey, region: s3Region }
  const storage = createObjectStorage({ ...credentials, endpoint, bucket: s3Bucket }, { signal })
  return { storage, archive: createArchive({ storage, prefix: s3Prefix }) }
}
