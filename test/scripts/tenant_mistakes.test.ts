/** npm run tenant, wrongly called, or without a database. */
import t from 'tap'
import { contents } from '../support/ringback.ts'
import { type How, run } from './command.ts'

const SECRET = 'EAAG-a-very-secret-token'
const tenant = (args: string[], how: How = {}) => run('tenant', args, how)

const NUMBER = ['--number', '0722000099']
const VALID = ['add', '--name', 'A', ...NUMBER]
const ONE = ['--phone-number-id', '1']
const WRONG: Record<string, [args: string[], said: RegExp, how?: How]> = {
  'no command': [[], /expected list, show, add, .*, call-log, found ""/],
  'another command': [['remove', ...VALID.slice(1)], /expected list, .*, found "remove"/],
  'no name': [['add', ...NUMBER], /--name: expected a name/],
  'a blank name': [['add', '--name', ' ', ...NUMBER], /--name: expected a name/],
  'no number': [['add', '--name', 'A'], /--number: expected at least one number/],
  'a number that is none': [
    [...VALID, '--number', 'shop'],
    /--number: expected a telephone number/,
  ],
  'an extension': [[...VALID, '--number', '100'], /--number: expected a telephone number/],
  'another mode': [[...VALID, '--mode', 'on'], /--mode: expected live, shadow or paused/],
  'a wrong owner': [
    [...VALID, '--owner-phone', '*2700'],
    /--owner-phone: expected a telephone number/,
  ],
  'a wrong WhatsApp number': [[...VALID, '--whatsapp-number', 'x'], /--whatsapp-number: expected/],
  'a star number to write from': [
    ['add', '--name', 'A', '--number', '*2701', ...ONE, '--access-token-stdin'],
    /--whatsapp-number: expected a telephone number/,
    { input: SECRET },
  ],
  'an option that is none': [[...VALID, '--colour', 'red'], /--colour/],
  'a token as an argument': [[...VALID, `--access-token=${SECRET}`], /--access-token/],
  'a token as the next argument': [[...VALID, '--access-token', SECRET], /--access-token/],
  'a token without an id': [
    [...VALID, '--access-token-stdin'],
    /--phone-number-id/,
    { input: SECRET },
  ],
  'an id that is a name': [
    [...VALID, '--phone-number-id', 'x', '--access-token-stdin'],
    /--phone-number-id: expected Meta's id/,
    { input: SECRET },
  ],
  'a variable that is not set': [
    [...VALID, ...ONE, '--access-token-env', 'NO_SUCH'],
    /NO_SUCH is not set/,
  ],
  'a variable that is empty': [
    [...VALID, ...ONE, '--access-token-env', 'EMPTY'],
    /EMPTY is not set/,
    { env: { EMPTY: ' ' } },
  ],
  'nothing on stdin': [[...VALID, ...ONE, '--access-token-stdin'], /nothing came/],
  'two sources of the token': [
    [...VALID, ...ONE, '--access-token-env', 'PATH', '--access-token-stdin'],
    /not both/,
    { input: SECRET },
  ],
}

await t.test('what is wrong is said in a few words, and nothing is added', async t => {
  const before = await contents()
  await Promise.all(
    Object.entries(WRONG).map(async ([name, [args, said, how]]) => {
      const { status, stdout, stderr } = await tenant(args, how)
      t.equal(status, 2, name)
      t.match(stderr, said, name)
      t.match(stderr, /--help/, `${name}: where to read on`)
      t.notMatch(stderr, /\n +at |secret/, `${name}: no stack, no secret`)
      t.equal(stdout, '', name)
    }),
  )
  t.strictSame(await contents(), before)
})

await t.test('help needs no database and names every option', async t => {
  const env = { DATABASE_URL: 'postgres://127.0.0.1:1/none' }
  t.match(await tenant(['--help'], { env }), { status: 0, stderr: '', stdout: /^ +add /m })
  const { status, stdout, stderr } = await tenant(['add', '--help'], { env })
  t.equal(status, 0)
  t.equal(stderr, '')
  for (const flag of 'name number whatsapp-number phone-number-id access-token-env access-token-stdin owner-phone mode json'.split(
    ' ',
  ))
    t.match(stdout, `--${flag}`)
})

await t.test('without a database it says so', async t => {
  const { status, stdout, stderr } = await tenant(VALID, {
    env: { DATABASE_URL: 'postgres://127.0.0.1:1/none' },
  })
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /ECONNREFUSED/)
})
