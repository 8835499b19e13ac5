/**
 * SIGTERM at each failpoint of a call, while calls arrive and messages are sent: the program must end in order and in
 * time, keep what it acknowledged, hold no job, and send no message twice. (Case 38)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { FAILPOINT_CHANNEL, FAILPOINTS } from '../../app/failpoints.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { ask, IN_ORDER, lockedJobs, waitUntil, startProcess } from '../support/process.ts'
import { business, customer, db, fake } from '../support/ringback.ts'

const CLIENTS = 4
const shop = await business({ columns: { outreach_delay: '0 seconds' } })
// WhatsApp is slow for some callers, so that messages are being sent when the program stops.
fake.script({ toSuffix: '0', times: 'always', outcome: { kind: 'accept', delayMs: 500 } })
fake.script({ toSuffix: '1', times: 'always', outcome: { kind: 'accept', delayMs: 1000 } })

/** A preload: the program gets SIGTERM when it reaches this failpoint for the third time. */
const stopAt = (failpoint: string): string => `
  import { subscribe } from 'node:diagnostics_channel'
  let times = 0
  subscribe('${FAILPOINT_CHANNEL}', passed => {
    if (passed === '${failpoint}' && ++times === 3) process.kill(process.pid, 'SIGTERM')
  })`

const acknowledged: string[] = []
/** Posts calls until the program accepts no connection. */
const client = async (url: string): Promise<void> => {
  for (;;) {
    const { local, e164 } = customer()
    const cdr = push({ caller: local, did: shop.did })
    const answer = await ask(`${url}/webhooks/voicenter/cdr?token=${shop.token}`, cdr).catch(
      () => null,
    )
    if (!answer) return
    if (answer.status === 200) acknowledged.push(e164)
    await sleep(50)
  }
}

for (const failpoint of FAILPOINTS.filter(name => /^(cdr|voicenter_cdr|lead_outreach):/.test(name)))
  await t.test(`stopped at ${failpoint}`, async t => {
    const program = startProcess({}, stopAt(failpoint))
    const url = await program.url()
    await Promise.all(Array.from({ length: CLIENTS }, () => client(url)))
    t.match(await program.ended(), IN_ORDER)
    t.strictSame(await lockedJobs(), [], 'no job is held')
  })

await t.test('afterwards every caller gets one message', async t => {
  const program = startProcess()
  await waitUntil('all calls are classified and written to', async () => {
    const { rows } = await sql<{ open: number }>`
      select (select count(*) from raw_cdrs where verdict is null)::int
           + (select count(*) from missed_calls where outreach_state in ('scheduled', 'sending'))::int as open`.execute(
      db,
    )
    return rows[0]?.open === 0
  })
  const received = fake.accepted().map(({ to }) => to)
  t.strictSame(received.toSorted(), [...new Set(received)].toSorted(), 'none gets two')
  const { rows } = await sql<{ phone: string }>`
    select caller_phone as phone from missed_calls where outreach_state = 'unknown'`.execute(db)
  const unknown = rows.map(({ phone }) => phone)
  const missing = acknowledged.filter(
    phone => !received.includes(phone) && !unknown.includes(phone),
  )
  t.strictSame(missing, [], `${acknowledged.length} calls, ${unknown.length} unknown`)
  t.ok(acknowledged.length > FAILPOINTS.length)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
