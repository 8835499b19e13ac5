/** What all commands need: flags, secrets, the database, and the exit code. */
import { Console } from 'node:console'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { Kysely } from 'kysely'
import type { z } from 'zod'
import type { Actor } from '../../app/audit.ts'
import { config } from '../../app/config.ts'
import type { DB } from '../../app/db/generated.ts'
import { closeDatabase, db, type Trx } from '../../app/db/kysely.ts'
import { migrate } from '../../app/db/migrate.ts'
import { retryOnConflict } from '../../app/db/retry.ts'
import { settingsFrom } from '../../app/development.ts'
import { isUserError } from '../../app/errors.ts'

/** Anyone who can run commands on the machine. */
export const COMMAND_LINE: Actor = { as: 'command line' }

/** What a command reads and writes. A test passes its own. */
export type Io = {
  stdin: Readable & { isTTY?: boolean }
  stdout: Writable
  stderr: Writable
  env: NodeJS.ProcessEnv
  openDatabase: () => Promise<Kysely<DB>>
}

export type Terminal = Io & { console: Console }

/** @returns the exit code; nothing = 0 */
export type Command = (args: string[], terminal: Terminal) => Promise<number | void>

/** The command was called in a wrong way. It ends with 2. */
class UsageError extends Error {}
/** The user asked for this help text. */
class HelpRequest extends Error {}

const usageText = ({ message }: UsageError, name: string): string =>
  `${message}\nSee: npm run ${name} -- --help`

/**
 * Runs a command. Errors go to stderr without a stack.
 *
 * @param name of the npm script
 * @returns the exit code: 0, 1 or 2
 */
export const runCommand = async (
  name: string,
  command: Command,
  args: string[],
  io: Io,
): Promise<number> => {
  const console = new Console(io.stdout, io.stderr)
  try {
    return (await command(args, { ...io, console })) ?? 0
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (error instanceof HelpRequest) {
      console.log(message)
      return 0
    }
    if (error instanceof UsageError) {
      console.error(usageText(error, name))
      return 2
    }
    const flag = isUserError(error) && error.field ? `${flagOf(error.field)}: ` : ''
    console.error(`${flag}${message}`)
    return 1
  }
}

/** Runs a command in a process of its own. */
export const runProcess = async (
  run: (args: string[], io: Io) => Promise<number>,
): Promise<void> => {
  const { stdin, stdout, stderr, env } = process
  // PORT alone says where the program listens, too.
  const start = env['PORT'] ? {} : settingsFrom('start', env)
  Object.assign(env, settingsFrom('fake_whatsapp', env), start)
  const openDatabase = async () => {
    // This may be the first command on a new machine. In production the release phase migrates.
    if (!config().production) await migrate()
    return db
  }
  process.exitCode = await run(process.argv.slice(2), { stdin, stdout, stderr, env, openDatabase })
  await closeDatabase()
}

export const fail = (message: string): never => {
  throw new UsageError(message)
}

export const STRING = { type: 'string' } as const
export const STRINGS = { type: 'string', multiple: true } as const
export const BOOLEAN = { type: 'boolean' } as const

/** Parses the flags of a command. `--help` prints the help text and ends the command. */
export const readFlags = <const Options extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  help: string,
  options: Options,
) => {
  try {
    const { values } = parseArgs({
      args,
      options: { ...options, help: { type: 'boolean', short: 'h' } },
    })
    if (!args.includes('--help') && !args.includes('-h')) return values
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
  throw new HelpRequest(help)
}

/** The flags of this process. A wrong flag ends it with 2, and `--help` ends it with the help text. */
export const processFlags = <const Options extends NonNullable<ParseArgsConfig['options']>>(
  name: string,
  help: string,
  options: Options,
) => {
  try {
    return readFlags(process.argv.slice(2), help, options)
  } catch (error) {
    if (error instanceof HelpRequest) {
      console.log(error.message)
      process.exit()
    }
    if (!(error instanceof UsageError)) throw error
    console.error(usageText(error, name))
    process.exit(2)
  }
}

/** The flags under the names of schema fields: `--outreach-delay` is `outreachDelay`. */
export const fieldsOf = (flags: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(flags).map(([flag, value]) => [
      flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  )

/** The flags of fields with another name. */
const FLAGS: Record<string, string> = {
  tenantId: '--tenant',
  tokenId: '--id',
  endpointId: '--id',
  deliveryId: '--delivery',
  events: '--event',
  numbers: '--number',
  phone: '--number',
  quietWindows: '--quiet',
  reminderQuietWindows: '--reminder-quiet',
  seconds: '--wait',
  accessToken: '--access-token-env or --access-token-stdin',
  appSecret: '--app-secret-env',
  password: '--password-env or --password-stdin',
  secret: '--code-env, --code-stdin, --bearer-env or --bearer-stdin',
}

const flagOf = (field: string): string =>
  FLAGS[field] ?? `--${field.replace(/[A-Z]|\d+/g, part => `-${part.toLowerCase()}`)}`

/** Checks the input. Every error names its flag. */
export const check = <Shape extends z.ZodType>(shape: Shape, input: unknown): z.infer<Shape> => {
  const { data, error, success } = shape.safeParse(input)
  if (success) return data
  return fail(
    error.issues
      .map(({ path, message }) => `${flagOf(String(path[0]))}: expected ${message}`)
      .join('\n'),
  )
}

/** Splits off the action of a command such as `number add`. The default is the first action. */
export const readAction = <const Action extends string>(
  args: string[],
  actions: readonly [Action, ...Action[]],
): [action: Action, rest: string[]] => {
  const [word, ...rest] = args
  if (word === undefined || word.startsWith('-')) return [actions[0], args]
  const action = actions.find(one => one === word)
  return action ? [action, rest] : fail(`expected ${actions.join(', ')}, found "${word}"`)
}

/**
 * Reads a secret from an environment variable (`<flag>-env NAME`) or from standard input (`<flag>-stdin`). It is never an
 * argument, because every user of the machine can read arguments.
 */
export const readSecret = async (
  { env, stdin }: Terminal,
  flag: string,
  variable: string | undefined,
  fromStdin: boolean | undefined,
): Promise<string | undefined> => {
  if (variable && fromStdin) fail(`${flag}-env or ${flag}-stdin, not both`)
  if (variable) return env[variable]?.trim() || fail(`${flag}-env: ${variable} is not set`)
  if (fromStdin) return (await text(stdin)).trim() || fail(`${flag}-stdin: standard input is empty`)
  return undefined
}

/** Runs the one transaction of a command. Only after it has committed may the command print a new secret. */
export const inTransaction = async <T>(
  { openDatabase }: Terminal,
  work: (trx: Trx) => Promise<T>,
): Promise<T> => {
  const database = await openDatabase()
  return retryOnConflict(() => database.transaction().execute(work))
}
