/** npm run tenant -- token, connection: the two doors of a business, by command. */
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, contents, db, post } from '../support/ringback.ts'
import { auditSince } from '../tenants/support.ts'
import { answered, tenant } from './tenant.ts'

t.test('a webhook URL is replaced: added, listed, and the old one revoked', async t => {
  const shop = await business()
  const { tenantId } = shop
  const written = await auditSince(tenantId)
  const added = await answered(['token', 'add', '--tenant', tenantId])
  t.match(added.json, {
    tenantId,
    tokenId: /^\d+$/,
    webhookToken: /^[\w-]{43}$/,
    webhookUrl: /\/webhooks\/voicenter\/cdr\?token=/,
  })
  const { webhookUrl = '' } = /"webhookUrl":"(?<webhookUrl>[^"]+)"/.exec(added.line)?.groups ?? {}
  const knock = async () =>
    (await fetch(webhookUrl, { method: 'POST', body: JSON.stringify(push({ did: shop.did })) }))
      .status
  t.equal(await knock(), 200)
  const person = await tenant(['token', 'add', '--tenant', tenantId])
  t.match(person, { status: 0, stdout: /shown this once/ })
  t.match((await answered(['token', '--tenant', tenantId])).json, { webhookTokens: { length: 3 } })

  const [old] = await db
    .selectFrom('webhook_tokens')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  const revoke = ['token', 'revoke', '--tenant', tenantId, '--id', old?.id ?? '']
  t.strictSame((await answered(revoke)).json, { tenantId, tokenId: old?.id, revoked: true })
  t.match(await post(push({ did: shop.did }), { token: shop.token }), { status: 401 })
  t.equal(await knock(), 200)
  t.match((await answered(revoke)).json, { revoked: false })
  t.match(
    (await written()).map(([who, action]) => [who, action]),
    [
      ['command line', 'webhook_token.add'],
      ['command line', 'webhook_token.add'],
      ['command line', 'webhook_token.revoke'],
    ],
  )
})

t.test('the last token is revoked by force only', async t => {
  const { tenantId } = await business()
  const [token] = await db
    .selectFrom('webhook_tokens')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .execute()
  const revoke = ['token', 'revoke', '--tenant', tenantId, '--id', token?.id ?? '']
  const before = await contents()
  t.match(await tenant(revoke), {
    status: 1,
    stdout: '',
    stderr: /^--id: webhook token \d+ is the last valid one/,
  })
  t.strictSame(await contents(), before)
  t.match((await answered([...revoke, '--force'])).json, { revoked: true })
})

t.test('a WhatsApp number is paused and goes on', async t => {
  const { tenantId, phoneNumberId } = await business()
  const written = await auditSince(tenantId)
  const number = ['--tenant', tenantId, '--phone-number-id', phoneNumberId]
  t.strictSame((await answered(['connection', 'pause', ...number])).json, {
    tenantId,
    phoneNumberId,
    state: 'paused',
    changed: true,
  })
  t.match((await answered(['connection', '--tenant', tenantId])).json, {
    tenantId,
    connections: [{ phoneNumberId, state: 'paused', reason: 'by_operator' }],
  })
  t.match((await answered(['connection', 'pause', ...number])).json, { changed: false })
  t.match((await answered(['connection', 'resume', ...number])).json, {
    state: 'active',
    changed: true,
  })
  t.match(await written(), [
    ['command line', 'connection.pause'],
    ['command line', 'connection.resume'],
  ])
})
