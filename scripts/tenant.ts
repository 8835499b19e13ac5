/** npm run tenant: the businesses we work for, from the command line. */
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'

const HELP = `Usage: npm run tenant -- add --name NAME --number NUMBER [options]

Adds a business with a webhook token bound to it, and prints the URL to enter in Voicenter's CPanel
(Integrations, CDR Notification). The token is shown this once.

  --name NAME               the name customers read in the message
  --number NUMBER           a number customers dial, in any common form; repeat for more than one
  --whatsapp-number NUMBER  the number messages come from (default: the first --number)
  --phone-number-id ID      Meta's id of that number (WhatsApp Manager, API setup)
  --access-token-env NAME   the environment variable that holds the WhatsApp access token
  --access-token-stdin      or read the token from standard input; never as an argument, where
                            every user of the machine could read it
                            (without a token no connection is made, and nothing can be sent)
  --owner-phone NUMBER      whom to tell about warm leads
  --mode MODE               live, shadow (decides everything, sends nothing) or paused; default shadow
  --json                    the last line of stdout is one JSON object: tenantId, webhookToken, webhookUrl
  --help                    this text`

/** A wrong call: said in one line, without a stack. */
const fail = (message: string): never => {
  console.error(`${message}\nSee: npm run tenant -- --help`)
  process.exit(2)
}

const readArguments = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        name: { type: 'string' },
        number: { type: 'string', multiple: true },
        'whatsapp-number': { type: 'string' },
        'phone-number-id': { type: 'string' },
        'access-token-env': { type: 'string' },
        'access-token-stdin': { type: 'boolean' },
        'owner-phone': { type: 'string' },
        mode: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

const { values: flags, positionals } = readArguments()
if (flags.help) {
  console.log(HELP)
  process.exit()
}
if (positionals.join(' ') !== 'add')
  fail(`tenant: expected "add", found "${positionals.join(' ')}"`)

const accessToken = async (): Promise<string | undefined> => {
  const variable = flags['access-token-env']
  if (variable && flags['access-token-stdin'])
    fail('--access-token-env or --access-token-stdin, not both')
  if (variable)
    return process.env[variable]?.trim() || fail(`--access-token-env: ${variable} is not set`)
  if (flags['access-token-stdin'])
    return (await text(process.stdin)).trim() || fail('--access-token-stdin: nothing came')
  return undefined
}

// Only now, since the database starts with the module that connects to it.
const { newTenant, addTenant, webhookUrl } = await import('../app/tenants.ts')

const FLAG: Record<string, string> = {
  name: '--name',
  numbers: '--number',
  whatsappNumber: '--whatsapp-number',
  phoneNumberId: '--phone-number-id',
  accessToken: '--access-token-env',
  ownerPhone: '--owner-phone',
  mode: '--mode',
}
const { data: tenant, error } = newTenant.safeParse({
  name: flags.name ?? '',
  numbers: flags.number ?? [],
  whatsappNumber: flags['whatsapp-number'],
  phoneNumberId: flags['phone-number-id'],
  accessToken: await accessToken(),
  ownerPhone: flags['owner-phone'],
  mode: flags.mode,
})
if (error)
  fail(
    error.issues
      .map(({ path, message }) => `${FLAG[String(path[0])] ?? ''}: expected ${message}`)
      .join('\n'),
  )
else {
  const { config } = await import('../app/config.ts')
  const { migrate } = await import('../app/db/migrate.ts')
  const { db } = await import('../app/db/kysely.ts')
  try {
    // A newcomer's first command may be this one. In production the release phase has done it.
    if (!config.production) await migrate()
    const { tenantId, webhookToken } = await db.transaction().execute(trx => addTenant(trx, tenant))
    const url = webhookUrl(webhookToken)
    console.error(`added ${tenant.name} as tenant ${tenantId}, mode ${tenant.mode}`)
    if (!tenant.accessToken)
      console.error('no WhatsApp connection: nothing will be sent until one is added')
    if (flags.json) console.log(JSON.stringify({ tenantId, webhookToken, webhookUrl: url }))
    else console.log(`Webhook URL for Voicenter (shown this once):\n${url}`)
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : cause)
    process.exitCode = 1
  } finally {
    await db.destroy()
  }
}
