/** npm run tenant: manages tenants from the command line. */
import { check } from './tenant/check.ts'
import { callLog, connect, connection } from './tenant/connections.ts'
import { apiToken, password, signOut, token } from './tenant/credentials.ts'
import { exclusion, optOut, optOuts } from './tenant/do_not_contact.ts'
import { number } from './tenant/numbers.ts'
import { forget } from './tenant/people.ts'
import { refused } from './tenant/refused.ts'
import { pause, resume, set } from './tenant/settings.ts'
import { template, testMessage } from './tenant/templates.ts'
import { add, list, show } from './tenant/tenants.ts'
import { type Command, type Io, runCommand, runProcess } from './tenant/terminal.ts'
import { webhook } from './tenant/webhooks.ts'

const COMMANDS: Record<string, [summary: string, command: Command]> = {
  list: ['list every business', list],
  show: ['show everything about one business', show],
  add: ['add a business, and print its webhook URL for Voicenter', add],
  check: ['show what is done of the set-up, and what is missing', check],
  set: ['change name, mode, intervals, quiet windows, what counts as missed', set],
  number: ['the numbers that customers dial', number],
  token: ['add or revoke a webhook token', token],
  'api-token': ['add or revoke a token for the API', apiToken],
  webhook: ['the addresses of other programs that get events', webhook],
  connect: ['connect a WhatsApp number, or store a new access token', connect],
  connection: ['pause or resume a WhatsApp number', connection],
  template: ['choose the WhatsApp templates', template],
  'test-message': ["send the first message to the owner's own phone", testMessage],
  pause: ['stop sending messages', pause],
  resume: ['continue in the mode before the pause', resume],
  password: ['set the password for /ops', password],
  'sign-out': ['end all sessions and links of a business', signOut],
  forget: ['erase one person', forget],
  'opt-out': ['opt out one person by hand, or take that back', optOut],
  'opt-outs': ['import a list of people who must not get messages', optOuts],
  exclusion: ['the numbers of staff and suppliers, who never get messages', exclusion],
  refused: ['deliveries that could not be read: list them, and read them again', refused],
  'call-log': ["compare the calls with Voicenter's Call Log, to find lost webhooks", callLog],
}

const HELP = `Usage: npm run tenant -- COMMAND [options]

${Object.entries(COMMANDS)
  .map(([name, [summary]]) => `  ${name.padEnd(12)} ${summary}`)
  .join('\n')}

Every command has --help, and --json: the last line of stdout is then one JSON object.`

/** @returns the exit code: 0 = done, 1 = not possible, 2 = wrong arguments */
export const run = async ([name = '', ...args]: string[], io: Io): Promise<number> => {
  if (name === '--help' || name === '-h') {
    io.stdout.write(`${HELP}\n`)
    return 0
  }
  const [, command] = (Object.hasOwn(COMMANDS, name) && COMMANDS[name]) || []
  if (command) return runCommand('tenant', command, args, io)
  io.stderr.write(
    `tenant: expected ${Object.keys(COMMANDS).join(', ')}, found "${name}"\n\n${HELP}\n`,
  )
  return 2
}

if (import.meta.main) await runProcess(run)
