// Every statement of the service is created here and registered, so that a test can prepare each of them on the real
// schema.

/** What client.ts returns for a column of each type. */
type Values = {
  bool: boolean
  bytea: Buffer
  float8: number
  int2: number
  int4: number
  int8: number
  jsonb: unknown
  text: string
  'text[]': string[]
  timestamptz: number
  uuid: string
  'uuid[]': string[]
}

export type SqlType = keyof Values

/** The type of a column, with `?` if it can be null. */
type SqlColumn = SqlType | `${SqlType}?`

type ValueOf<C extends SqlColumn> = C extends `${infer T extends SqlType}?`
  ? Values[T] | null
  : C extends SqlType
    ? Values[C]
    : never

type Columns = Record<string, SqlColumn>
type RowOf<C extends Columns> = { -readonly [Name in keyof C]: ValueOf<C[Name]> }

/** The types that a column can have for a value to be a `Value`. */
type ColumnOf<Value> = {
  [T in SqlType]: NonNullable<Value> extends Values[T] ? (null extends Value ? `${T}?` : T) : never
}[SqlType]
export type ColumnsOf<Row> = { [Name in keyof Row]-?: ColumnOf<Row[Name]> }

declare const row: unique symbol

/** A named statement, which each connection prepares once; `Row` is what it returns. */
export type Statement<Row extends object = object> = {
  readonly name: string
  readonly text: string
  readonly [row]?: () => Row
}

type Registered = { text: string; columns: Columns | null }

const registered = new Map<string, Registered>()

/** All statements of the files that have been imported, by their names. */
export const statements: ReadonlyMap<string, Registered> = registered

/** A statement that returns nothing. */
export function statement(name: string, text: string): Statement<never>
/** `columns` are the columns of a row, from which the type of the row is derived. */
export function statement<const C extends Columns>(name: string, columns: C, text: string): Statement<RowOf<C>>
/** For a row whose type says more than its columns do, for example which texts a column can contain. */
export function statement<Row extends object>(name: string, columns: ColumnsOf<Row>, text: string): Statement<Row>
export function statement(name: string, ...rest: [text: string] | [columns: Columns, text: string]): Statement {
  if (registered.has(name)) throw new Error(`two statements are named ${name}`)
  const [columns, text] = rest.length === 1 ? [null, rest[0]] : rest
  registered.set(name, { text, columns })
  return { name, text }
}

/** Epoch milliseconds as a timestamptz. */
export const instant = (expression: string): string => `to_timestamp((${expression})::float8 / 1000)`
