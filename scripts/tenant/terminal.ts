/** What the commands of `npm run tenant` have in common: how they read, how they end. */
import { text } from 'node:stream/consumers'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { z } from 'zod'
import type { Actor } from '../../app/audit.ts'
import { type Trx, db } from '../../app/db/kysely.ts'
import { isUserError } from '../../app/errors.ts'
import { migrate } from '../../app/db/migrate.ts'
import { showTenant } from '../../app/tenants/tenants.ts'
import { retryOnConflict } from '../../app/db/retry.ts'
import { config } from '../../app/config.ts'

/** Whoever may run commands on the machine. */
export const COMMAND_LINE: Actor = { as: 'command line' }

/** By which flag a part of what is wanted is given. */
export type Flags = Record<string, string>

/** A wrong call: said in one line, without a stack. */
export const fail = (message: string): never => {
  console.error(`${message}\nSee: npm run tenant -- --help`)
  process.exit(2)
}

/** The flags of a command; prints its help and ends if that is what was asked for. */
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
    if (args.includes('--help') || args.includes('-h')) {
      console.log(help)
      process.exit()
    }
    return values
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

/** What is to be done, where a command can do several things: its first word. Without one, the first of them. */
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
 * A secret, out of an environment variable (`<flag>-env NAME`) or standard input (`<flag>-stdin`); never an
 * argument, where every user of the machine could read it.
 */
export const readSecret = async (
  flag: string,
  variable: string | undefined,
  stdin: boolean | undefined,
): Promise<string | undefined> => {
  if (variable && stdin) fail(`${flag}-env or ${flag}-stdin, not both`)
  if (variable) return process.env[variable]?.trim() || fail(`${flag}-env: ${variable} is not set`)
  if (stdin) return (await text(process.stdin)).trim() || fail(`${flag}-stdin: nothing came`)
  return undefined
}

/** A WhatsApp access token. */
export const readAccessToken = (
  variable: string | undefined,
  stdin: boolean | undefined,
): Promise<string | undefined> => readSecret('--access-token', variable, stdin)

/** What the flags say, checked; every mistake is named by its flag. */
export const check = <Shape extends z.ZodType>(
  shape: Shape,
  given: unknown,
  flags: Flags,
): z.infer<Shape> => {
  const { data, error, success } = shape.safeParse(given)
  if (success) return data
  return fail(
    error.issues
      .map(({ path, message }) => `${flags[String(path[0])] ?? ''}: expected ${message}`)
      .join('\n'),
  )
}

/**
 * Runs the command's one transaction, on a database that is up to date, and ends the connections. The
 * database starts with the module that connects to it, so that module is loaded only here.
 */
export const withDatabase = async <T>(
  work: (trx: Trx) => Promise<T>,
  tell: (result: T) => void | Promise<void>,
  flags: Flags = {},
): Promise<void> => {
  try {
    // A newcomer's first command may be this one. In production the release phase has done it.
    if (!config().production) await migrate()
    // Told only after the commit: a token that was not stored must not be handed on.
    await tell(await retryOnConflict(() => db.transaction().execute(work)))
  } catch (error) {
    const flag = isUserError(error) && error.field ? flags[error.field] : undefined
    const message = error instanceof Error ? error.message : String(error)
    console.error(flag ? `${flag}: ${message}` : message)
    process.exitCode = 1
  } finally {
    await db.destroy()
  }
}

/** Everything about the business that a command is for. */
export const shown = (trx: Trx, tenantId: string) => showTenant(trx, tenantId)
