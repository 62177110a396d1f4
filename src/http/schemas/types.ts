// Pieces of JSON schema that several modules share.

import { Type } from 'typebox'
import { uuidPattern } from '../../kit/identifier.ts'

export const Uuid = Type.String({ pattern: `^${uuidPattern}$` })
