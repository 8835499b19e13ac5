/** A deploy: the new copy starts in the moment in which the old one is asked to stop. Nothing is lost, nothing done twice. (Case 38) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { ask, IN_ORDER, lockedJobs, soon, startProcess, workerPools } from '../support/process.ts'
import { business, customer, db, fake } from '../support/ringback.ts'

await t.test('calls keep coming in while one copy takes over from the other', async t => {
  const shop = await business({ columns: { outreach_delay: '0 seconds' } })
  fake.script({
    phoneNumberId: shop.phoneNumberId,
    times: 'always',
    outcome: { kind: 'accept', delayMs: 500 },
  })
  const copies = [startProcess()]
  const stored: string[] = []
  let on = true
  /** As the platform's router: to the copy that listens, and again where one does not answer. */
  const caller = async () => {
    while (on) {
      const who = customer()
      const record = push({ caller: who.local, did: shop.did })
      let status = 0
      while (status !== 200 && on) {
        const copy = copies.at(-1)
        if (!copy) return
        const url = await copy.url()
        // Each delivery twice: Voicenter too repeats itself.
        const answers = await Promise.allSettled(
          [url, url].map(to => ask(`${to}/webhooks/voicenter/cdr?token=${shop.token}`, record)),
        )
        for (const answer of answers)
          if (answer.status === 'fulfilled' && answer.value.status === 200) status = 200
      }
      if (status === 200) stored.push(who.e164)
      await sleep(50)
    }
  }
  await copies[0]?.running()
  const calls = Promise.all([caller(), caller(), caller()])
  for (let times = 0; times < 3; times++) {
    await sleep(1500)
    const old = copies.at(-1)
    const next = startProcess()
    old?.signal('SIGTERM')
    // Until it listens the router has the old one only, which no longer does.
    await next.url()
    copies.push(next)
    t.match(await old?.ended(), IN_ORDER)
    await next.running()
  }
  await sleep(1000)
  on = false
  await calls

  await soon('all are written to', async () => {
    const { rows } = await sql<{ open: number }>`
      select (select count(*) from raw_cdrs where verdict is null)::int
           + (select count(*) from missed_calls where outreach_state in ('scheduled', 'sending'))::int as open`.execute(
      db,
    )
    return rows[0]?.open === 0 && (await lockedJobs()).length === 0
  })
  t.ok(stored.length > 10, `${stored.length} calls`)
  const got = fake.accepted().map(({ to }) => to)
  t.strictSame(got.toSorted(), [...new Set(got)].toSorted(), 'nobody got it twice')
  t.strictSame(
    stored.filter(phone => !got.includes(phone)),
    [],
    'and everybody once',
  )
  t.equal((await workerPools()).length, 1)
  const last = copies.at(-1)
  last?.signal('SIGTERM')
  t.match(await last?.ended(), IN_ORDER)
})
