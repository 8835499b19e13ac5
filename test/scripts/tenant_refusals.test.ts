/** npm run tenant: what is wrong is said in a line, with the flag it is about, and changes nothing. */
import t from 'tap'
import { business, contents } from '../support/ringback.ts'
import { type How } from './command.ts'
import { tenant } from './tenant.ts'

const [shop, other, unconnected] = [
  await business(),
  await business(),
  await business({ connected: false }),
]
const OURS = ['--tenant', shop.tenantId]
const NOBODY = ['--tenant', '999999']
const SECRET = 'a password that nobody knows'
const set = (...args: string[]) => ['set', ...OURS, ...args]

/** A wrong call: nothing was asked of the database. */
const WRONG: [args: string[], said: RegExp, how?: How][] = [
  [['show'], /^--tenant: expected the id of a business$/m],
  [['show', '--tenant', 'x'], /^--tenant: expected the id of a business$/m],
  [['show', ...OURS, '--colour', 'red'], /--colour/],
  [['list', 'all'], /all/],
  [set(), /what to change about it/],
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
  [['number', 'sell', ...OURS], /expected list, add, remove, found "sell"/],
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
]

/** Refused as things stand. */
const REFUSED: [args: string[], said: RegExp, how?: How][] = [
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
  ].map((args): [string[], RegExp] => [[...args, ...NOBODY], /^there is no tenant 999999$/]),
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
    /^--whatsapp-number: expected the telephone number, because this id is new$/,
    { input: SECRET },
  ],
]

/** A few at a time: each is a process. */
const each = async <T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> => {
  const queue = [...items]
  const next = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all([next(), next(), next(), next()])
}

t.test('a wrong call ends with 2', async t => {
  const before = await contents()
  const env = { DATABASE_URL: 'postgres://127.0.0.1:1/none' }
  await each(WRONG, async ([args, said, how]) => {
    const { status, stdout, stderr } = await tenant(args, { ...how, env: { ...env, ...how?.env } })
    const name = args.join(' ')
    t.strictSame([status, stdout], [2, ''], name)
    t.match(stderr, said, name)
    t.match(stderr, /^See: npm run tenant -- --help$/m, `${name}: where to read on`)
    t.notMatch(stderr, /\n +at /, `${name}: no stack`)
    t.notOk(stderr.includes(SECRET), `${name}: no secret`)
  })
  t.strictSame(await contents(), before)
})

t.test('what cannot be done as things stand ends with 1, in one line', async t => {
  const before = await contents()
  await each(REFUSED, async ([args, said, how]) => {
    const { status, stdout, stderr } = await tenant(args, how)
    const name = args.join(' ')
    t.strictSame([status, stdout], [1, ''], name)
    t.match(stderr.trimEnd(), said, name)
    t.equal(stderr.trimEnd().split('\n').length, 1, `${name}: one line`)
    t.notOk(stderr.includes(SECRET), `${name}: no secret`)
  })
  t.strictSame(await contents(), before)
})

const FLAGS: Record<string, string> = {
  list: 'json',
  show: 'tenant json',
  set: 'tenant name mode owner-phone timezone outreach-delay reminder-1-after reminder-2-after unresponsive-after repeat-window oldest-call grace reminder-grace missed-statuses min-ring-seconds contact-foreign quiet no-quiet json',
  number: 'tenant number json',
  token: 'tenant id force json',
  connection: 'tenant phone-number-id json',
  pause: 'tenant json',
  resume: 'tenant json',
  password: 'tenant generate password-env password-stdin clear json',
  'test-message': 'tenant wait json',
}

t.test('help needs no database and names every option', async t => {
  const env = { DATABASE_URL: 'postgres://127.0.0.1:1/none' }
  const { stdout } = await tenant(['--help'], { env })
  await each(Object.entries(FLAGS), async ([command, flags]) => {
    t.match(stdout, new RegExp(`^ +${command} `, 'm'))
    const help = await tenant([command, '--help'], { env })
    t.match(help, { status: 0, stderr: '' }, command)
    for (const flag of flags.split(' ')) t.match(help.stdout, `--${flag}`)
  })
})
