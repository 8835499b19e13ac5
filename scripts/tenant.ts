/** npm run tenant: the businesses we work for, from the command line. */
const COMMANDS = {
  list: 'every business in a line',
  show: 'everything about one',
  add: 'a new business, and the webhook URL for Voicenter',
  set: 'its name, mode, times, quiet windows, what counts as missed',
  number: 'the numbers that customers dial',
  token: 'a fresh webhook URL, the old one valid until it is revoked',
  connect: 'its WhatsApp number, or a new access token for it',
  connection: 'pause and resume a WhatsApp number',
  template: 'which WhatsApp template says what',
  'test-message': "the first message, to the owner's own phone",
  pause: 'write to nobody',
  resume: 'go on as before',
  password: 'with which it signs in to /ops',
  forget: 'erase one person',
  'opt-outs': 'a list of people who must not be written to',
  'call-log': "comparing its calls with Voicenter's own log, for webhooks that were lost",
}

const HELP = `Usage: npm run tenant -- COMMAND [options]

${Object.entries(COMMANDS)
  .map(([name, what]) => `  ${name.padEnd(12)} ${what}`)
  .join('\n')}

Each has its own --help, and --json: the last line of stdout is one JSON object.`

const [command = '', ...args] = process.argv.slice(2)
if (command === '--help' || command === '-h') console.log(HELP)
else if (!Object.hasOwn(COMMANDS, command)) {
  console.error(
    `tenant: expected ${Object.keys(COMMANDS).join(', ')}, found "${command}"\n\n${HELP}`,
  )
  process.exitCode = 2
} else {
  const { run }: { run: (args: string[]) => Promise<void> } = await import(
    `./tenant/${command.replace('-', '_')}.ts`
  )
  await run(args)
}
