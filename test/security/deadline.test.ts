/** Whatever the database does, every delivery is answered within ten seconds. */
import { sql } from 'kysely'
import t from 'tap'
import { business, db, OK, post } from '../support/ringback.ts'
import { deliver, change, envelope } from '../support/whatsapp.ts'
import { push } from '../../scripts/demo/cdr.ts'

const COME_AGAIN = { status: 503, body: { Err: 2, Errdesc: 'not stored; please send it again' } }
const run = (statement: string) => sql.raw(statement).execute(db)

/** Whoever looks a token up waits so long for it. */
const slowTokens = async (seconds: number) => {
  await run('alter table webhook_tokens rename to real_tokens')
  await run(`create view webhook_tokens as
    select real_tokens.* from real_tokens, lateral (select pg_sleep(${seconds})) as slept`)
}
const tokensAgain = async () => {
  await run('drop view webhook_tokens')
  await run('alter table real_tokens rename to webhook_tokens')
}
/** Whoever writes into the table waits so long, and is then told that it only met somebody else: try again. */
const contested = async (table: string, seconds: number) => {
  await run(`create function contested() returns trigger language plpgsql as $$
    begin perform pg_sleep(${seconds}); raise exception 'contested' using errcode = '40001'; end $$`)
  await run(`create trigger contested before insert on ${table}
    for each row execute function contested()`)
}
const calm = () => run('drop function contested() cascade')

const timed = async <T>(answer: Promise<T>) => {
  const started = performance.now()
  return { answer: await answer, seconds: (performance.now() - started) / 1000 }
}

await t.test('a token that takes for ever to be looked up is not waited for', async t => {
  const { token } = await business()
  await slowTokens(4.5)
  const { answer, seconds } = await timed(post(push(), { token }))
  await tokensAgain()
  t.strictSame(answer, COME_AGAIN)
  t.ok(seconds < 4.4, `${seconds} s`)
  t.strictSame(await post(push(), { token }), OK)
})

await t.test('a slow look-up and tries that collide do not add up beyond ten seconds', async t => {
  const { token } = await business()
  const record = push()
  await slowTokens(2)
  // Five tries of three seconds each: seventeen seconds in all, if nobody looked at the clock. The machine
  // that runs this may be a busy one.
  await contested('raw_cdrs', 3)
  const { answer, seconds } = await timed(post(record, { token }))
  await calm()
  await tokensAgain()
  t.strictSame(answer, COME_AGAIN)
  t.ok(seconds < 12, `${seconds} s`)
  t.strictSame(await post(record, { token }), OK, 'it comes again')
  t.match(
    await db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', record.ivruniqueid).execute(),
    [{ deliveries: 1 }],
  )
})

await t.test('nor do they for what WhatsApp tells', async t => {
  const { phoneNumberId } = await business()
  const body = envelope(change(phoneNumberId, { messages: [{ id: 'wamid.slow' }] }))
  await contested('whatsapp_events', 3)
  const { answer, seconds } = await timed(deliver(body))
  await calm()
  t.match(answer, { status: 503 })
  t.ok(seconds < 12, `${seconds} s`)
  t.match(await deliver(body), { status: 200 })
})
