/** Runs `npm run tenant` and `npm run export` in the test's own process. */
import { Readable, Writable } from 'node:stream'
import { reloadConfig } from '../../app/config.ts'
import { run as runExport } from '../../scripts/export.ts'
import { run as runTenant } from '../../scripts/tenant.ts'
import type { Io } from '../../scripts/tenant/terminal.ts'
import { db, url } from '../support/ringback.ts'

// The printed webhook URLs work.
process.env['PUBLIC_URL'] = url
reloadConfig()

/** Variables besides the test's own, and standard input. `openDatabase`: by default the test's database. */
export type Options = {
  env?: NodeJS.ProcessEnv
  input?: string
  openDatabase?: Io['openDatabase']
}

/** For commands that must not use the database: a command that opens it ends with 1. */
export const noDatabase = (): never => {
  throw new Error('the command opened the database')
}

/** Collects the output. */
const collect = () => {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString() }
}

const runHere =
  (run: (args: string[], io: Io) => Promise<number>) =>
  async (
    args: string[],
    { env = {}, input = '', openDatabase = () => Promise.resolve(db) }: Options = {},
  ) => {
    const [stdout, stderr] = [collect(), collect()]
    const status = await run(args, {
      stdin: Readable.from([input]),
      stdout: stdout.stream,
      stderr: stderr.stream,
      env: { ...process.env, ...env },
      openDatabase,
    })
    return { status, stdout: stdout.text(), stderr: stderr.text() }
  }

export const tenant = runHere(runTenant)
export const exportRows = runHere(runExport)

/**
 * The answer to `--json`: the last line of stdout, which is the only line here.
 *
 * @throws Error if the command fails or prints more
 */
export const answered = async (args: string[], options: Options = {}) => {
  const { status, stdout, stderr } = await tenant([...args, '--json'], options)
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`)
  const [line = '', ...rest] = stdout.trimEnd().split('\n')
  if (rest.length > 0) throw new Error(`more than one line: ${stdout}`)
  const json: unknown = JSON.parse(line)
  return { json, line, stderr }
}
