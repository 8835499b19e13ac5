/** npm run tenant, as the tests of its commands run it. */
import t from 'tap'
import { url } from '../support/ringback.ts'
import { type How, run } from './command.ts'

// Each command is a process: two dozen of them in one file take their time where others test too.
t.setTimeout(300_000)

export const tenant = (args: string[], how: How = {}) =>
  run('tenant', args, { ...how, env: { PUBLIC_URL: url, ...how.env } })

/**
 * What a script would read with --json: the last line of stdout, which here is the only one.
 *
 * @throws Error when the command did not end well
 */
export const answered = async (args: string[], how: How = {}) => {
  const { status, stdout, stderr } = await tenant([...args, '--json'], how)
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`)
  const [line = '', ...rest] = stdout.trimEnd().split('\n')
  if (rest.length > 0) throw new Error(`more than one line: ${stdout}`)
  const json: unknown = JSON.parse(line)
  return { json, line, stderr }
}
