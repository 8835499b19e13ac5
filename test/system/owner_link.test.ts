/** The notice of a reply in the real program: how soon it comes, and where the token of its link is. */
import t from 'tap'
import { sql } from 'kysely'
import { LINK, owned } from '../outreach/support.ts'
import { startProcess, waitUntil } from '../support/process.ts'
import { APP_SECRET, db, fake, url as testUrl } from '../support/ringback.ts'

// Before the program starts, or its worker could take the jobs that this test runs.
const { owner, who, shop } = await owned()
const program = startProcess({
  OPS_PASSWORD: 'a long password of the operator',
  PUBLIC_URL: testUrl,
  WHATSAPP_GRAPH_URL: fake.url,
  WHATSAPP_APP_SECRET: APP_SECRET,
  NODE_ENV: 'development',
  LOG_LEVEL: 'trace',
})
await program.running()
const url = await program.url()

await t.test('the owner gets the notice of a reply within five seconds', async t => {
  await fake.inbound({ kind: 'text', from: who.e164, text: 'אפשר לבוא מחר?' })
  const seconds = await waitUntil('the notice', () => fake.inbox(owner).length > 0)
  t.ok(seconds < 5, `${seconds} s`)

  const [, path = ''] = LINK.exec(fake.inbox(owner)[0]?.template?.parameters[2] ?? '') ?? []
  const token = path.slice('/l/'.length)
  t.match(token, /^[\w-]{43}$/)
  for (const method of ['GET', 'POST', 'DELETE'])
    await fetch(`${url}${path}`, { method, redirect: 'manual' })
  await db.updateTable('sessions').set({ revoked_at: new Date() }).execute()
  for (const wrong of ['', '/x', '?y', '%E0%A4%A']) await fetch(`${url}${path}${wrong}`)
  await sql`alter table sessions rename column revoked_at to away`.execute(db)
  t.equal((await fetch(`${url}${path}`)).status, 503)
  await sql`alter table sessions rename column away to revoked_at`.execute(db)
  await program.says('page failed')
  const log = program.lines.join('\n')
  t.match(log, /"task":"owner_notice"/)
  t.notMatch(log, token)
  t.notMatch(log, '/l/')
  t.notMatch(log, who.e164.slice(4))
  t.ok(shop.tenantId)
})
