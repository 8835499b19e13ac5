/** npm run tenant: every error names its flag, shows no secret and changes nothing. */
import t from 'tap'
import { business, contents } from '../support/ringback.ts'
import { exportRows, noDatabase, type Options, tenant } from './tenant.ts'

const [shop, other, unconnected] = [
  await business(),
  await business(),
  await business({ connected: false }),
]
const OURS = ['--tenant', shop.tenantId]
const NOT_FOUND = ['--tenant', '999999']
const NUMBER = ['--number', '0722000099']
const VALID = ['add', '--name', 'A', ...NUMBER]
const ID = ['--phone-number-id', '1']
const SECRET = 'a-password-that-is-secret'
const set = (...args: string[]) => ['set', ...OURS, ...args]
const callLog = (...args: string[]) => ['call-log', ...OURS, ...args]

/** The arguments are wrong: exit code 2, and the database is not opened. */
const WRONG: [args: string[], said: RegExp, options?: Options][] = [
  [['show'], /^--tenant: expected the id of a business$/m],
  [['show', '--tenant', 'x'], /^--tenant: expected the id of a business$/m],
  [['show', ...OURS, '--colour', 'red'], /--colour/],
  [['list', 'all'], /all/],
  [['webhook', 'add', ...OURS, '--url', 'ftp://x'], /^--url: expected an https or http URL$/m],
  [['webhook', 'add', ...OURS, '--url', 'http://10.0.0.1'], /^--url: expected a public address$/m],
  [
    ['webhook', 'add', ...OURS, '--url', 'https://x', '--event', 'no'],
    /^--event: expected one or more of call.missed, /m,
  ],
  [['webhook', 'test', ...OURS], /^--id: expected an id such as 12$/m],
  [['webhook', ...OURS, '--delivery', '1'], /webhook list: no --delivery/],
  [set(), /expected a change, such as --mode live/],
  [['set', '--mode', 'live'], /^--tenant: expected/m],
  [set('--mode', 'off'), /^--mode: expected live, shadow or paused$/m],
  [set('--name', ' '), /^--name: expected a name$/m],
  [set('--owner-phone', 'me'), /^--owner-phone: expected a telephone number/m],
  [set('--timezone', 'Mars'), /^--timezone: expected a time zone/m],
  [set('--outreach-delay', 'soon'), /^--outreach-delay: expected a time such as 2 minutes/m],
  [set('--outreach-delay=-2 minutes'), /^--outreach-delay: expected a time/m],
  [set('--repeat-window', '400 days'), /^--repeat-window: expected a time .* at most 365 days$/m],
  [set('--grace', '0s'), /^--grace: expected at least 1 minute/m],
  [
    set('--missed-statuses', 'NOANSWER,NEVER'),
    /^--missed-statuses: expected statuses from this list: ANSWER, /m,
  ],
  [set('--min-ring-seconds', 'few'), /^--min-ring-seconds: expected a whole number/m],
  [set('--contact-foreign', 'perhaps'), /^--contact-foreign: expected yes or no$/m],
  [set('--quiet', '21-8'), /^--quiet: expected a window such as 21:00-08:00/m],
  [
    set('--quiet', '00:00-12:00', '--quiet', '12:00-00:00'),
    /^--quiet: expected windows that leave some time/m,
  ],
  [set('--quiet', '21:00-08:00', '--no-quiet'), /not both/],
  [set('--quiet', 'sabbath'), /^--quiet: expected a window such as .*, shabbat or holidays$/m],
  [set('--reminder-quiet', '21-8'), /^--reminder-quiet: expected a window such as 21:00-08:00/m],
  [set('--reminder-quiet', 'shabbat', '--no-reminder-quiet'), /not both/],
  [
    set('--location', 'Atlantis'),
    /^--location: expected a city from this list: Tel Aviv, Jerusalem, .*; or lat,lon such as 31.77,35.21$/m,
  ],
  [set('--location', '91,35'), /^--location: expected a city/m],
  [['number', 'sell', ...OURS], /expected list, add, confirm, remove, found "sell"/],
  [['number', 'add', ...OURS], /^--number: expected a telephone number/m],
  [['number', 'add', ...OURS, '--number', 'shop'], /^--number: expected a telephone number/m],
  [['number', 'list', ...OURS, '--number', '0722000000'], /no --number/],
  [['token', 'revoke', ...OURS], /^--id: expected the id of a webhook token$/m],
  [['token', 'add', ...OURS, '--id', '1'], /no --id/],
  [['connection', 'pause', ...OURS], /^--phone-number-id: expected Meta's id/m],
  [['connection', 'list', ...OURS, '--phone-number-id', '1'], /no --phone-number-id/],
  [['pause'], /^--tenant: expected/m],
  [['resume'], /^--tenant: expected/m],
  [['password', ...OURS], /one of --generate, /],
  [['password', ...OURS, '--clear', '--generate'], /one of --generate, /],
  [['password', ...OURS, `--password=${SECRET}`], /--password/],
  [['password', ...OURS, '--password-env', 'NO_SUCH'], /--password-env: NO_SUCH is not set/],
  [
    ['password', ...OURS, '--password-stdin'],
    /expected a password of at least 12 characters$/m,
    { input: 'too short' },
  ],
  [['password', '--password-stdin'], /^--tenant: expected/m, { input: SECRET }],
  [
    ['test-message', ...OURS, '--wait', 'long'],
    /^--wait: expected a whole number of seconds from 0 to 60$/m,
  ],
  [
    ['test-message', ...OURS, '--wait', '61'],
    /^--wait: expected a whole number of seconds from 0 to 60$/m,
  ],
  // add
  [[], /expected list, show, add, .*, call-log, found ""/],
  [['remove', ...VALID.slice(1)], /expected list, .*, found "remove"/],
  [['add', ...NUMBER], /^--name: expected a name/],
  [['add', '--name', ' ', ...NUMBER], /^--name: expected a name/],
  [['add', '--name', 'A'], /^--number: expected at least one number/],
  [[...VALID, '--number', 'shop'], /^--number: expected a telephone number/],
  [[...VALID, '--number', '100'], /^--number: expected a telephone number/],
  [[...VALID, '--mode', 'on'], /^--mode: expected live, shadow or paused/],
  [[...VALID, '--owner-phone', '*2700'], /^--owner-phone: expected a telephone number/],
  [[...VALID, '--whatsapp-number', 'x'], /^--whatsapp-number: expected/],
  [
    ['add', '--name', 'A', '--number', '*2701', ...ID, '--access-token-stdin'],
    /^--whatsapp-number: expected a telephone number/,
    { input: SECRET },
  ],
  [[...VALID, '--colour', 'red'], /--colour/],
  [[...VALID, `--access-token=${SECRET}`], /--access-token/],
  [[...VALID, '--access-token', SECRET], /--access-token/],
  [[...VALID, '--access-token-stdin'], /^--phone-number-id: /, { input: SECRET }],
  [
    [...VALID, '--phone-number-id', 'x', '--access-token-stdin'],
    /^--phone-number-id: expected Meta's id/,
    { input: SECRET },
  ],
  [[...VALID, ...ID, '--access-token-env', 'NO_SUCH'], /NO_SUCH is not set/],
  [[...VALID, ...ID, '--access-token-env', 'EMPTY'], /EMPTY is not set/, { env: { EMPTY: ' ' } }],
  [[...VALID, ...ID, '--access-token-stdin'], /standard input is empty/],
  [
    [...VALID, ...ID, '--access-token-env', 'PATH', '--access-token-stdin'],
    /not both/,
    { input: SECRET },
  ],
  // call-log
  [['call-log', '--tenant', 'x', '--off'], /^--tenant: expected the id of a business/],
  [callLog('--code', SECRET), /--code/],
  [callLog(`--bearer=${SECRET}`), /--bearer/],
  [callLog('--code-env', 'NO_SUCH'), /^--code-env: NO_SUCH is not set/],
  [callLog('--bearer-stdin'), /^--bearer-stdin: standard input is empty/],
  [callLog('--code-env', 'A', '--code-stdin'), /--code-env or --code-stdin, not both/],
  [callLog('--code-env', 'A', '--bearer-env', 'A'), /not several/, { env: { A: SECRET } }],
  [callLog('--code-env', 'A', '--off'), /not several/, { env: { A: SECRET } }],
  [callLog('--code-stdin'), /without spaces/, { input: `${SECRET} ${SECRET}` }],
  // forget, opt-outs
  [['forget', '--yes', ...OURS, '--number', 'דנה'], /^--number: expected a telephone number/],
  [['forget', '--yes', '--tenant', 'x', '--number', '0521234567'], /^--tenant: expected the id/],
  [['opt-outs', ...OURS], /^--file: expected the list/],
  [['opt-outs', ...OURS, '--file', '/no/such'], /^--file: ENOENT/],
  // opt-out, exclusion
  [['opt-out', 'list', ...OURS], /expected add, remove, found "list"/],
  [['opt-out', 'add', ...OURS], /^--number: expected a telephone number/],
  [['opt-out', 'add', ...OURS, '--number', '*2700'], /^--number: expected a telephone number/],
  [['exclusion', 'add', ...OURS, '--number', 'דנה'], /^--number: expected a telephone number/],
  [['exclusion', 'list', ...OURS, '--number', '0521234567'], /no --number/],
  [['exclusion', 'remove', ...OURS, ...NUMBER, '--note', 'x'], /no --note/],
  [
    ['exclusion', 'add', ...OURS, ...NUMBER, '--note', 'x'.repeat(201)],
    /^--note: expected a note of at most 200/,
  ],
  [['exclusion', 'import', ...OURS], /^--file: expected the list/],
]

/** The arguments are right, but the command is not possible: exit code 1. */
const REFUSED: [args: string[], said: RegExp, options?: Options][] = [
  ...[
    ['show'],
    ['set', '--mode', 'live'],
    ['number', 'list'],
    ['number', 'add', '--number', '0739111111'],
    ['token', 'list'],
    ['token', 'add'],
    ['token', 'revoke', '--id', '1'],
    ['connection', 'list'],
    ['connection', 'pause', '--phone-number-id', '1'],
    ['pause'],
    ['resume'],
    ['password', '--generate'],
    ['test-message'],
    ['template'],
    ['call-log', '--off'],
    ['forget', '--yes', '--number', '0521234567'],
    ['opt-out', 'add', '--number', '0521234567'],
    ['opt-out', 'remove', '--number', '0521234567'],
    ['exclusion', 'list'],
    ['exclusion', 'add', '--number', '0521234567'],
    ['exclusion', 'remove', '--number', '0521234567'],
  ].map((args): [string[], RegExp] => [[...args, ...NOT_FOUND], /^there is no tenant 999999$/]),
  [
    set('--reminder-1-after', '25h'),
    /^--reminder-1-after: the first reminder \(25 hours\) would come after the second \(24 hours\)$/,
  ],
  [
    set('--reminder-2-after', '1h'),
    /^--reminder-2-after: the first reminder \(2 hours\) would come after the second \(1 hour\)$/,
  ],
  [
    ['number', 'add', ...OURS, '--number', other.did],
    /^--number: \+\d+ belongs to another business already$/,
  ],
  [['number', 'remove', ...OURS, '--number', shop.did], /^--number: \+\d+ is the last number: /],
  [
    ['number', 'remove', ...OURS, '--number', other.did],
    /^there is no number \+\d+ of tenant \d+$/,
  ],
  [
    ['token', 'revoke', ...OURS, '--id', '999999'],
    /^there is no webhook token 999999 of tenant \d+$/,
  ],
  [
    ['connection', 'pause', ...OURS, '--phone-number-id', other.phoneNumberId],
    /^there is no WhatsApp number \d+ of tenant \d+$/,
  ],
  [['resume', ...OURS], /^tenant \d+ is not paused, its mode is live$/],
  [['test-message', ...OURS], /^tenant \d+ has no owner's phone: set it first$/],
  [
    ['template', '--tenant', unconnected.tenantId, '--kind', 'initial', '--name', 'a'],
    /has no WhatsApp number/,
  ],
  [
    ['connect', ...OURS, '--phone-number-id', other.phoneNumberId, '--access-token-stdin'],
    /^--phone-number-id: WhatsApp number \d+ belongs to another business already$/,
    { input: SECRET },
  ],
  [
    ['connect', ...OURS, '--phone-number-id', '4711', '--access-token-stdin'],
    /^--access-token-env or --access-token-stdin: WhatsApp does not accept this access token \(190\)/,
    { input: SECRET },
  ],
  [
    ['call-log', ...NOT_FOUND, '--code-stdin'],
    /^there is no tenant 999999$/,
    { input: 'a-secret-code' },
  ],
  [
    ['forget', '--yes', ...OURS, '--number', shop.did],
    /^--number: this is a number of the business itself$/,
  ],
]

await t.test('wrong arguments end with 2 and do not open the database', async t => {
  const before = await contents()
  for (const [args, message, options] of WRONG) {
    const openDatabase = noDatabase
    const { status, stdout, stderr } = await tenant(args, { ...options, openDatabase })
    const name = args.join(' ')
    t.strictSame([status, stdout], [2, ''], name)
    t.match(stderr, message, name)
    t.match(stderr, /npm run tenant -- (--help|COMMAND)/, `${name}: points to the help`)
    t.notMatch(stderr, /\n +at /, `${name}: no stack`)
    t.notOk(stderr.includes(SECRET), `${name}: no secret`)
  }
  t.strictSame(await contents(), before)
})

await t.test('a command that is not possible ends with 1 and one line', async t => {
  const before = await contents()
  for (const [args, message, options] of REFUSED) {
    const { status, stdout, stderr } = await tenant(args, options)
    const name = args.join(' ')
    t.strictSame([status, stdout], [1, ''], name)
    t.match(stderr.trimEnd(), message, name)
    t.equal(stderr.trimEnd().split('\n').length, 1, `${name}: one line`)
    t.notOk(stderr.includes(SECRET), `${name}: no secret`)
  }
  t.strictSame(await contents(), before)
})

await t.test('export has the same errors', async t => {
  const calls = [...OURS, '--what', 'calls']
  for (const [args, status, message] of [
    [
      [...OURS, '--what', 'people'],
      2,
      /^--what: expected calls, leads, messages, live_calls, exclusions, campaigns or events/,
    ],
    [[...calls, '--since', 'monday'], 2, /^--since: expected a day such as/],
    [[...NOT_FOUND, '--what', 'leads'], 1, /^there is no tenant 999999/],
    [[...calls, '--output', '/no/such/file'], 1, /ENOENT/],
  ] as const) {
    const answer = await exportRows([...args])
    t.match(answer, { status, stdout: '', stderr: message }, args.join(' '))
    t.notMatch(answer.stderr, /\n\s+at /)
  }
})

const FLAGS: Record<string, string> = {
  add: 'name number whatsapp-number phone-number-id access-token-env access-token-stdin waba-id app-secret-env owner-phone mode json',
  'call-log': 'tenant code-env code-stdin bearer-env bearer-stdin off json',
  connect:
    'tenant phone-number-id whatsapp-number waba-id access-token-env access-token-stdin app-secret-env json',
  template: 'tenant kind name language variables body buttons number hours resume default json',
  forget: 'tenant number dry-run yes json',
  'opt-out': 'tenant number json',
  'opt-outs': 'tenant file json',
  exclusion: 'tenant number note file json',
  refused: 'tenant id json',
  list: 'json',
  show: 'tenant json',
  check: 'tenant json',
  set: 'tenant name mode owner-phone timezone outreach-delay reminder-1-after reminder-2-after unresponsive-after repeat-window oldest-call grace reminder-grace missed-statuses min-ring-seconds contact-foreign holdout-percent quiet no-quiet reminder-quiet no-reminder-quiet location languages opening-hours no-opening-hours json',
  number: 'tenant number json',
  token: 'tenant id force json',
  'api-token': 'tenant id json',
  webhook: 'tenant id url event delivery json',
  connection: 'tenant phone-number-id json',
  pause: 'tenant json',
  resume: 'tenant json',
  password: 'tenant generate password-env password-stdin clear json',
  'sign-out': 'tenant json',
  'test-message': 'tenant wait json',
}

await t.test(
  'the help of every command names its flags and does not open the database',
  async t => {
    const { status, stdout } = await tenant(['--help'], { openDatabase: noDatabase })
    t.equal(status, 0)
    const commands = [...stdout.matchAll(/^ {2}([a-z-]+) /gm)].map(([, command]) => command)
    t.strictSame(new Set(commands), new Set(Object.keys(FLAGS)))
    for (const [command, flags] of Object.entries(FLAGS)) {
      const help = await tenant([command, '--help'], { openDatabase: noDatabase })
      t.match(help, { status: 0, stderr: '' }, command)
      for (const flag of flags.split(' ')) t.match(help.stdout, `--${flag}`)
    }
    const help = await exportRows(['--help'], { openDatabase: noDatabase })
    t.match(help, { status: 0, stderr: '', stdout: /--what WHAT/ })
  },
)
