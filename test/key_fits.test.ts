/** A key that opens nothing of what is stored is refused at the start. */
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { run } from './scripts/command.ts'
import { IN_ORDER, startProcess } from './support/process.ts'
import { business, db } from './support/ringback.ts'
import { grantAccess } from '../app/tenants/credentials.ts'
import { config } from '../app/config.ts'

const KEY = config().ENCRYPTION_KEY.toString('base64')
const other = randomBytes(32).toString('base64')

/** What it says of the key although it starts. */
const starts = async (t: Test, env: NodeJS.ProcessEnv = {}): Promise<string> => {
  const program = startProcess(env)
  await program.running()
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  return program.lines.filter(one => one.includes('ENCRYPTION_KEY')).join('\n')
}

await t.test('where nothing is stored any key will do', async t => {
  t.equal(await starts(t, { ENCRYPTION_KEY: other }), '')
})

await t.test('another key is refused, and npm run rekey named', async t => {
  const { tenantId } = await business()
  const access = { tenantId, kind: 'code' as const, secret: 'abc' }
  await db.transaction().execute(trx => grantAccess(trx, { as: 'command line' }, access))
  const program = startProcess({ ENCRYPTION_KEY: other })
  t.match(await program.ended(), { how: 1, inTime: true })
  const line = program.lines.find(one => one.includes('Ringback ends')) ?? ''
  t.match(line, 'ENCRYPTION_KEY opens none of the 2 secrets that are stored')
  t.match(line, 'npm run rekey')
  t.notMatch(line, '"stack"', 'one clear line')
  t.equal(await starts(t), '', 'its own is not')
})

await t.test('a release with another key fails, and what runs goes on', async t => {
  const production = { NODE_ENV: 'production' }
  const wrong = await run('migrate', [], { env: { ...production, ENCRYPTION_KEY: other } })
  t.match(wrong, { status: 1, stderr: /^ENCRYPTION_KEY opens none of the 2.*rekey.*\n$/ })
  t.match(await run('migrate', [], { env: { ...production, ENCRYPTION_KEY: KEY } }), { status: 0 })
})

await t.test('a single secret that does not open is one business alone', async t => {
  await db.updateTable('call_log_access').set({ credential: 'v1:AAAA' }).execute()
  t.match(await starts(t), 'ENCRYPTION_KEY does not open 1 of 2 stored secrets')
})
