// Every statement of the service is made here and registered, so that a test can prepare each of them on the real schema.

/** What the client (client.ts) makes of a column of each type. */
type Values = {
  bool: boolean
  bytea: Buffer
  date: Date
  float8: number
  int2: number
  int4: number
  int8: number
  json: unknown
  jsonb: unknown
  name: string
  text: string
  'text[]': string[]
  timestamptz: number
  uuid: string
  'uuid[]': string[]
  varchar: string
  void: string
}

type SqlType = keyof Values

/** The type of a column, with `?` if it can be null. */
type Column = SqlType | `${SqlType}?`

type ValueOf<C extends Column> = C extends `${infer T extends SqlType}?`
  ? Values[T] | null
  : C extends SqlType
    ? Values[C]
    : never

type RowOf<Columns extends Record<string, Column>> = { -readonly [Name in keyof Columns]: ValueOf<Columns[Name]> }

declare const row: unique symbol

/** A named statement, which each connection prepares once; `Row` is what it returns. */
export type Statement<Row extends object = object> = {
  readonly name: string
  readonly text: string
  readonly [row]?: () => Row
}

const registered = new Map<string, { text: string; columns: Record<string, Column> | null }>()

/** All statements of the files that have been imported, by their names. */
export const statements: ReadonlyMap<string, { text: string; columns: Record<string, Column> | null }> = registered

export function statement(name: string, text: string): Statement<never>
/** `columns` says which columns the statement returns. */
export function statement<const Columns extends Record<string, Column>>(
  name: string,
  columns: Columns,
  text: string,
): Statement<RowOf<Columns>>
export function statement(name: string, ...rest: [string] | [Record<string, Column>, string]): Statement {
  if (registered.has(name)) throw new Error(`two statements are named ${name}`)
  const [columns, text] = rest.length === 1 ? [null, rest[0]] : rest
  registered.set(name, { text, columns })
  return { name, text }
}

/** Epoch milliseconds as a timestamptz. */
export const instant = (expression: string): string => `to_timestamp((${expression})::float8 / 1000)`
