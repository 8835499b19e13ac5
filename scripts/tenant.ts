/** npm run tenant: the businesses we work for, from the command line. */
const COMMANDS = {
  add: 'a new business, and the webhook URL for Voicenter',
  connect: 'its WhatsApp number, or a new access token for it',
  template: 'which WhatsApp template says what',
  'call-log': "comparing its calls with Voicenter's own log, for webhooks that were lost",
}

const HELP = `Usage: npm run tenant -- COMMAND [options]

${Object.entries(COMMANDS)
  .map(([name, what]) => `  ${name.padEnd(10)} ${what}`)
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
