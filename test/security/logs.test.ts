/** A day of everything, with the log at its most talkative: of people and secrets it says nothing. */
import { sql } from 'kysely'
import t from 'tap'
import {
  APP_SECRET,
  business,
  customer,
  db,
  fake,
  VERIFY_TOKEN,
  webhookToken,
} from '../support/ringback.ts'
import { change, envelope, hmac } from '../support/whatsapp.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { program, soon } from './support.ts'
import { decrypt, tokenOwner } from '../../app/crypto.ts'
import { config } from '../../app/config.ts'

const app = await program({ ROLE: 'all', LOG_LEVEL: 'trace' })
const TEXT = 'מתי אתם פתוחים'
const shop = await business({ columns: { outreach_delay: '0 seconds' } })
const unbound = await webhookToken(null)

const cdr = async (body: string, token = shop.token) => {
  const headers = { 'x-secret': 'header-secret', 'content-type': 'application/json', cookie: 'c' }
  const url = `${app.url}/webhooks/voicenter/cdr?token=${token}&hint=query-secret`
  return (await fetch(url, { method: 'POST', body, headers })).status
}
const told = async (body: unknown, signature?: string) => {
  const text = JSON.stringify(body)
  const headers = { 'x-hub-signature-256': signature ?? `sha256=${hmac(text)}` }
  return (await fetch(`${app.url}/webhooks/whatsapp`, { method: 'POST', body: text, headers }))
    .status
}
const run = (statement: string) => sql.raw(statement).execute(db)

await t.test('neither phone numbers nor texts, tokens, headers, bodies, query strings', async t => {
  const dana = customer()
  const omer = customer()
  const missed = (who: { local: string }) =>
    JSON.stringify(
      push({
        caller: who.local,
        did: shop.did,
        representative_name: 'a\n{"level":30}\r\u001b[31m',
      }),
    )
  fake.script({ to: omer.e164, outcome: { kind: 'error', code: 131026 } })
  t.equal(await cdr(missed(dana)), 200)
  t.equal(await cdr(missed(omer)), 200)
  t.equal(await cdr(missed(dana).slice(1)), 400)
  t.equal(await cdr(`{"caller":"${dana.local}"}`), 400)
  t.equal(await cdr(missed(dana), 'wrong-token'), 401)
  t.equal(await cdr('x'.repeat(6_000_000)), 413)
  await soon(() => fake.inbox(dana.e164).length > 0)
  t.equal(fake.inbox(dana.e164).length, 1, 'she was written to')

  const message = { id: 'wamid.logs', from: dana.e164.slice(1), type: 'text', text: { body: TEXT } }
  const body = envelope(change(shop.phoneNumberId, { messages: [message] }))
  t.equal(await told(body), 200)
  t.equal(await told(body, `sha256=${'0'.repeat(64)}`), 401)
  const query = new URLSearchParams({
    'hub.mode': 'subscribe',
    'hub.verify_token': VERIFY_TOKEN,
    'hub.challenge': 'c',
  })
  t.equal((await fetch(`${app.url}/webhooks/whatsapp?${query.toString()}`)).status, 200)

  // What the database refuses is an error, and an error is logged: without the row.
  await run(`alter table raw_cdrs add constraint never check (call_id = 'x') not valid`)
  t.equal(await cdr(missed(omer), unbound), 503)
  await run('alter table raw_cdrs drop constraint never')
  await run(`alter table whatsapp_events add constraint never check (kind = 'x') not valid`)
  t.equal(
    await told(envelope(change(shop.phoneNumberId, { messages: [{ ...message, id: 'y' }] }))),
    503,
  )
  await run('alter table whatsapp_events drop constraint never')
  // And a task that fails tells of it too.
  await run(`alter table leads add constraint never check (phone = 'x') not valid`)
  const third = customer()
  t.equal(await cdr(missed(third)), 200)
  await soon(() =>
    app.lines.some(line => line.includes('"never"') && line.includes('voicenter_cdr')),
  )
  await run('alter table leads drop constraint never')

  const { access_token: sealed } = await db
    .selectFrom('whatsapp_connections')
    .select('access_token')
    .where('tenant_id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  const log = app.lines.join('\n')
  t.match(log, /"constraint":"never"/, 'the faults are told')
  t.match(log, /a delivery was refused/)
  const secrets = {
    'her number': dana.e164.slice(5),
    'the number of another': omer.e164.slice(5),
    'that of a third': third.e164.slice(5),
    'what she wrote': TEXT,
    'a name': 'level\\":30',
    'a header': 'header-secret',
    'a query string': 'query-secret',
    'a token': shop.token,
    'the unbound token': unbound,
    'a wrong token': 'wrong-token',
    'the access token': decrypt(sealed, tokenOwner(shop.tenantId)),
    'the sealed access token': sealed,
    'the app secret': APP_SECRET,
    'the verify token': VERIFY_TOKEN,
    'the key': config().ENCRYPTION_KEY.toString('base64'),
  }
  for (const [name, secret] of Object.entries(secrets))
    t.notOk(log.includes(secret), `${name} is not in the log`)
  for (const line of app.lines) t.match(JSON.parse(line), { level: Number, msg: String })
})
