/** A webhook URL is replaced without losing a call. */
import { test } from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, contents, db, OK, post } from '../support/ringback.ts'
import { act, auditSince, OPERATOR, refusalOf } from './support.ts'
import { addToken, revokeToken, tokensOf } from '../../app/tenants/credentials.ts'

const tokens = (tenantId: string) => act(trx => tokensOf(trx, tenantId))
const statusWith = async (token: string, did: string) =>
  (await post(push({ did }), { token })).status

await test('a fresh token is valid beside the old one, until that is revoked', async t => {
  const shop = await business()
  const written = await auditSince(shop.tenantId)
  const { tokenId, webhookToken } = await act(trx => addToken(trx, OPERATOR, shop.tenantId))
  t.equal(await statusWith(webhookToken, shop.did), OK.status)
  t.equal(await statusWith(shop.token, shop.did), OK.status)
  const [old, fresh] = await tokens(shop.tenantId)
  t.match(fresh, { tokenId, revokedAt: null })
  t.strictSame(Object.keys(fresh ?? {}), ['tokenId', 'createdAt', 'revokedAt'], 'and no hash')

  const wish = { tenantId: shop.tenantId, tokenId: old?.tokenId ?? '' }
  t.strictSame(await act(trx => revokeToken(trx, OPERATOR, wish)), { revoked: true })
  t.equal(await statusWith(shop.token, shop.did), 401)
  t.equal(await statusWith(webhookToken, shop.did), OK.status)
  t.strictSame(await act(trx => revokeToken(trx, OPERATOR, wish)), { revoked: false }, 'once')
  t.strictSame(await written(), [
    ['operator', 'webhook_token.add', `webhook_tokens ${tokenId}`, null, { state: 'valid' }],
    [
      'operator',
      'webhook_token.revoke',
      `webhook_tokens ${wish.tokenId}`,
      { state: 'valid' },
      { state: 'revoked' },
    ],
  ])
  t.notMatch(JSON.stringify(await db.selectFrom('audit_log').selectAll().execute()), webhookToken)
})

await test('the last valid token is revoked only by force', async t => {
  const shop = await business()
  const [token] = await tokens(shop.tenantId)
  const wish = { tenantId: shop.tenantId, tokenId: token?.tokenId ?? '' }
  const before = await contents()
  t.strictSame(await refusalOf(trx => revokeToken(trx, OPERATOR, wish)), ['last_token', 'tokenId'])
  t.strictSame(await contents(), before)
  await act(trx => revokeToken(trx, OPERATOR, { ...wish, force: true }))
  t.equal(await statusWith(shop.token, shop.did), 401)
})

await test("another business's token is not there", async t => {
  const [mine, theirs] = [await business(), await business()]
  const [token] = await tokens(theirs.tenantId)
  const tokenId = token?.tokenId ?? ''
  const before = await contents()
  const wish = { tenantId: mine.tenantId, tokenId, force: true }
  t.strictSame(await refusalOf(trx => revokeToken(trx, OPERATOR, wish)), ['not_found', null])
  t.strictSame(await refusalOf(trx => addToken(trx, OPERATOR, '999999')), ['not_found', null])
  t.strictSame(await contents(), before)
})

await test('of two that revoke the last two at once, one is refused', async t => {
  const { tenantId } = await business()
  await act(trx => addToken(trx, OPERATOR, tenantId))
  const ends = await Promise.allSettled(
    (await tokens(tenantId)).map(({ tokenId }) =>
      act(trx => revokeToken(trx, OPERATOR, { tenantId, tokenId })),
    ),
  )
  t.strictSame(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})
