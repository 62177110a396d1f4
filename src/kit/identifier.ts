// The format of identifiers on the wire: lower-case canonical uuids.

export const uuidPattern = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

const uuid = new RegExp(`^${uuidPattern}$`)

export function isUuid(text: string): boolean {
  return uuid.test(text)
}
