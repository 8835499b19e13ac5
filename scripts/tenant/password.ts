import { check, COMMAND_LINE, fail, readFlags, readSecret, withDatabase } from './terminal.ts'
import { generatePassword, newPassword, setPassword } from '../../app/tenants/credentials.ts'

const HELP = `Usage: npm run tenant -- password --tenant ID (--generate | --password-env NAME | --password-stdin | --clear)

Sets the password with which a business signs in to /ops, where it sees and changes what is its own; or clears it.

  --tenant ID           the business
  --generate            make one up, and show it this once
  --password-env NAME   the environment variable that holds it; at least 12 characters
  --password-stdin      or read it from standard input
  --clear               nobody signs in as this business any more
  --json                the last line of stdout is one JSON object: tenantId, changed, and password if generated
  --help                this text`

const FLAGS = { tenantId: '--tenant', password: '--password-env or --password-stdin' }

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    tenant: { type: 'string' },
    generate: { type: 'boolean' },
    'password-env': { type: 'string' },
    'password-stdin': { type: 'boolean' },
    clear: { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const isGiven = Boolean(flags['password-env'] ?? flags['password-stdin'])
  if ([flags.generate, isGiven, flags.clear].filter(Boolean).length !== 1)
    fail('one of --generate, --password-env, --password-stdin and --clear')
  const given = await readSecret('--password', flags['password-env'], flags['password-stdin'])
  const generated = flags.generate ? generatePassword() : undefined
  const wanted = check(
    newPassword,
    { tenantId: flags.tenant ?? '', password: generated ?? given ?? null },
    FLAGS,
  )
  const { tenantId } = wanted
  await withDatabase(
    trx => setPassword(trx, COMMAND_LINE, wanted),
    ({ changed }) => {
      const what = flags.clear ? (changed ? 'is cleared' : 'was not set') : 'is set'
      console.error(`tenant ${tenantId}: its password ${what}`)
      if (flags.json)
        console.log(
          JSON.stringify({ tenantId, changed, ...(generated && { password: generated }) }),
        )
      else if (generated) console.log(`Password for /ops (shown this once):\n${generated}`)
    },
  )
}
