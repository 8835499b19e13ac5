/** npm run sql: runs one statement on the database, for machines without psql. */
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { newConnection } from '../app/db/pool.ts'
import type { Io } from './tenant/terminal.ts'

const HELP = `Usage: npm run sql -- "select * from call_report()" [--json] [--write]

Runs one SQL statement on the database of DATABASE_URL, or without it on the one of npm start, and prints the rows.
The transaction is read-only. docs/sql.md has a query for most questions.

  --write  let the statement change data, such as: npm run sql -- --write "select cancel_outreach(1)"
  --json   the last line of stdout is one JSON array of the rows
  --help   show this text

Without a statement, it is read from standard input.`

/** @returns the exit code: 0 = done, 1 = the database refused, 2 = wrong arguments */
export const run = async (args: string[], io: SqlIo): Promise<number> => {
  const print = (line: string) => void io.stdout.write(`${line}\n`)
  const fail = (line: string, code: number) => {
    io.stderr.write(`${line}\n`)
    return code
  }
  let flags
  try {
    flags = parseArgs({
      args,
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        write: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return fail(`${problem}\nSee: npm run sql -- --help`, 2)
  }
  const { values, positionals } = flags
  if (values.help) {
    print(HELP)
    return 0
  }
  if (positionals.length > 1)
    return fail(
      'expected one statement: put it into quotation marks. See: npm run sql -- --help',
      2,
    )
  const statement = positionals[0] ?? (io.stdin.isTTY ? '' : await text(io.stdin))
  if (statement.trim() === '') return fail('expected a statement. See: npm run sql -- --help', 2)
  try {
    const { rows, fields, count } = await query(io, statement, values)
    if (values.json) print(JSON.stringify(rows.map(row => objectOf(row, fields))))
    else if (fields.length === 0) print(`done; rows: ${count}`)
    else
      print(
        tableOf(
          fields,
          rows.map(row => row.map(printable)),
          io.stdout.columns,
        ),
      )
    return 0
  } catch (error) {
    return fail(explain(error, statement), 1)
  }
}

type SqlIo = {
  stdin: Io['stdin']
  stdout: Io['stdout'] & { columns?: number }
  stderr: Io['stderr']
  connect: () => Promise<pg.Client>
}

/**
 * A prepared statement is one statement, so that none can end the read-only transaction.
 *
 * @returns without `json`, the values as Postgres writes them
 */
const query = async (
  { connect }: SqlIo,
  text: string,
  { write = false, json = false }: { write?: boolean; json?: boolean },
) => {
  const client = await connect()
  try {
    await client.query(write ? 'begin' : 'begin read only')
    const result = await client.query<unknown[]>({
      text,
      rowMode: 'array',
      name: 'statement',
      ...(!json && { types: { getTypeParser: () => (value: unknown) => value } }),
    })
    await client.query('commit')
    return {
      rows: result.rows,
      fields: result.fields.map(({ name }) => name),
      count: result.rowCount ?? 0,
    }
  } finally {
    await client.end()
  }
}

const objectOf = (row: unknown[], fields: string[]): Record<string, unknown> =>
  Object.fromEntries(fields.map((name, at) => [name, row[at] ?? null]))

/** What callers write may contain characters that control the terminal, or change the direction of the text. */
const printable = (value: unknown): string =>
  (typeof value === 'string' ? value : '').replace(
    // oxlint-disable-next-line no-control-regex -- they are what must not be printed
    /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    char => (char === '\n' ? '⏎' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`),
  )

/** A table, or where the terminal is too narrow for it, each row as a list. */
const tableOf = (fields: string[], cells: string[][], columns = Infinity): string => {
  // Not Math.max(...): a call takes about 100,000 arguments, and a result may have more rows.
  const widths = fields.map((name, at) =>
    cells.reduce((width, row) => Math.max(width, row[at]?.length ?? 0), name.length),
  )
  const total = cells.length === 1 ? '1 row' : `${cells.length} rows`
  if (widths.reduce((sum, width) => sum + width + 3, 1) > columns) {
    const width = Math.max(...fields.map(name => name.length))
    const lists = cells.map((row, n) =>
      [
        `- row ${n + 1}`,
        ...row.map((cell, at) => `${(fields[at] ?? '').padEnd(width)}  ${cell}`),
      ].join('\n'),
    )
    return [...lists, total].join('\n')
  }
  const textOf = (row: string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join(' | ')
      .trimEnd()
  return [
    textOf(fields),
    widths.map(width => '-'.repeat(width)).join('-+-'),
    ...cells.map(textOf),
    total,
  ].join('\n')
}

const explain = (error: unknown, statement: string): string => {
  if (!(error instanceof pg.DatabaseError))
    return error instanceof Error && error.message
      ? error.message
      : // A host name with several addresses.
        `the database cannot be reached (${error instanceof AggregateError && 'code' in error ? String(error.code) : String(error)})`
  if (error.code === '42601' && error.message.includes('multiple commands'))
    return 'one statement only: run the others on their own'
  if (error.code === '25006')
    return `${error.message}: add --write if the statement should change data`
  const { message, code, position } = error
  const isMissing = code === '42P01' || code === '42883'
  const hint = isMissing
    ? `${error.hint ?? ''} In a new database, npm run migrate creates the tables.`.trim()
    : error.hint
  const before = position ? statement.slice(0, Number(position) - 1) : null
  const line = before === null ? '' : ` (line ${before.split('\n').length})`
  return [`${message}${line}`, hint && `hint: ${hint}`].filter(Boolean).join('\n')
}

const connect = async (): Promise<pg.Client> => {
  const client = await newConnection('sql', { patient: true })
  await client.connect()
  return client
}

if (import.meta.main) {
  const { stdin, stdout, stderr } = process
  process.exitCode = await run(process.argv.slice(2), { stdin, stdout, stderr, connect })
}
