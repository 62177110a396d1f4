// Settings of the log.
import { Type } from 'typebox'
import { integer, milliseconds } from './kinds.ts'

export const log = Type.Object(
  {
    level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      default: 'info',
      env: 'LOG_LEVEL',
      synonyms: { warning: 'warn', critical: 'fatal' },
      description: 'Least severe level that is logged',
    }),
    format: Type.Enum(['auto', 'json', 'pretty'], {
      default: 'auto',
      env: 'LOG_FORMAT',
      description: 'auto is pretty on a terminal and json elsewhere',
    }),
    destination: Type.Enum(['auto', 'stdout', 'file', 'both'], {
      default: 'auto',
      env: 'LOG_DESTINATION',
      synonyms: { console: 'stdout' },
      description: 'auto is LOG_FILE alone if it is set, else standard output; file and both need LOG_FILE',
    }),
    file: Type.Optional(
      Type.String({
        env: 'LOG_FILE',
        reading: 'directory',
        description:
          'Log to this file, as json, and not to standard output unless LOG_DESTINATION=both; it is rotated by size',
      }),
    ),
    errorFile: Type.Optional(
      Type.String({
        env: 'LOG_ERROR_FILE',
        reading: 'directory',
        description: 'A second file with errors only; without it LOG_FILE with .error before its extension',
      }),
    ),
    rotateBytes: integer(10_485_760, 'Size at which a log file is rotated', { minimum: 1024 }),
    rotateKeep: integer(10, 'Rotated files that are kept', { maximum: 1000 }),
    fileMode: Type.String({
      default: '600',
      pattern: '^0?6[046][04]$',
      rule: 'must be an octal mode in which the owner reads and writes and others read at most, such as 640',
      description: 'Mode of new log files, in octal; 640 lets a collector in the same group read them',
    }),
    slowBatchMs: milliseconds(1000, 'A batch of heartbeats that takes longer is logged at warn; 0 is off', {
      minimum: 0,
    }),
    slowDetectorPassMs: milliseconds(1000, 'A pass of the detector that takes longer is logged at warn; 0 is off', {
      minimum: 0,
    }),
    slowDeliveryMs: milliseconds(5000, 'A delivery that takes longer is logged at warn; 0 is off', { minimum: 0 }),
    anonymizeIp: Type.Boolean({
      default: false,
      env: 'LOG_ANONYMIZE_IP',
      description: "Cuts clients' addresses in the log to their network: /24 of IPv4, /48 of IPv6",
    }),
  },
  { description: 'Logging' },
)
