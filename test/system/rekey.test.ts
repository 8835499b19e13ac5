/** A new ENCRYPTION_KEY: every secret moves to it, or nothing does. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { run } from '../scripts/command.ts'
import { business, customer, db, type Business } from '../support/ringback.ts'
import { optOutsOf } from '../support/whatsapp.ts'
import { optOut } from '../../app/outreach/opt_outs.ts'
import { grantAccess } from '../../app/tenants/credentials.ts'
import { callLogOwner, decrypt, eventSecretOwner, phoneHash, tokenOwner } from '../../app/crypto.ts'
import { rotateSecret } from '../../app/events/endpoints.ts'
import { endpointOf } from '../events/support.ts'
import { config } from '../../app/config.ts'

const oldKey = config().ENCRYPTION_KEY.toString('base64')
const rekey = (newKey: Buffer, old = oldKey) =>
  run('rekey', [], {
    env: { ENCRYPTION_KEY: newKey.toString('base64'), OLD_ENCRYPTION_KEY: old },
  })
const sealedOf = async ({ tenantId }: Business) => {
  const rows = db.selectFrom('whatsapp_connections').select('access_token')
  const logs = db.selectFrom('call_log_access').select('credential')
  const endpoints = db.selectFrom('event_endpoints').select(['secret', 'previous_secret'])
  return {
    ...(await endpoints.where('tenant_id', '=', tenantId).executeTakeFirstOrThrow()),
    token: (await rows.where('tenant_id', '=', tenantId).executeTakeFirstOrThrow()).access_token,
    credential: (await logs.where('tenant_id', '=', tenantId).executeTakeFirstOrThrow()).credential,
  }
}
const hashesOf = ({ tenantId }: Business) =>
  db.selectFrom('opt_outs').selectAll().where('tenant_id', '=', tenantId).orderBy('id').execute()

const shop = await business()
const { tenantId } = shop
await db.transaction().execute(async trx => {
  await grantAccess(trx, { as: 'command line' }, { tenantId, kind: 'code', secret: 'abc' })
  await optOut(trx, tenantId, customer().e164, 'typed')
})
const { secret: firstSecret, endpointId } = await endpointOf(shop, 'http://127.0.0.1:1/')
const { secret } = await db
  .transaction()
  .execute(trx => rotateSecret(trx, { as: 'command line' }, { tenantId, endpointId }))
const before = await sealedOf(shop)
const token = decrypt(before.token, tokenOwner(tenantId))

await t.test('everything moves to the new key, once', async t => {
  const key = randomBytes(32)
  const [hash] = await hashesOf(shop)
  t.match(await rekey(key), { status: 0, stdout: '4 secrets are now under the new key\n' })
  const after = await sealedOf(shop)
  t.equal(decrypt(after.token, tokenOwner(tenantId), key), token)
  t.equal(decrypt(after.credential, callLogOwner(tenantId), key), 'abc')
  t.equal(decrypt(after.secret, eventSecretOwner(tenantId), key), secret)
  t.equal(decrypt(after.previous_secret ?? '', eventSecretOwner(tenantId), key), firstSecret)
  t.throws(
    () => decrypt(after.token, tokenOwner(tenantId)),
    /cannot be decrypted/,
    'and leaves the old',
  )
  t.notSame((await hashesOf(shop))[0]?.phone_hash, hash?.phone_hash)
  t.equal((await optOutsOf(shop)).length, 1)

  t.match(await rekey(key), { status: 0, stdout: '0 secrets are now under the new key\n' })
  t.strictSame(await sealedOf(shop), after, 'a second time there is nothing to do')

  const back = await rekey(Buffer.from(oldKey, 'base64'), key.toString('base64'))
  t.match(back, { status: 0 })
  t.equal(decrypt((await sealedOf(shop)).token, tokenOwner(tenantId)), token)
  t.strictSame(await hashesOf(shop), [hash], 'the way back is the same')
})

await t.test('with a wrong old key nothing is changed', async t => {
  const sealed = await sealedOf(shop)
  const wrong = await rekey(randomBytes(32), randomBytes(32).toString('base64'))
  t.match(wrong, { status: 1, stderr: /cannot be decrypted/ })
  t.notMatch(wrong.stderr, token)
  t.match(await rekey(randomBytes(32), ''), { status: 2, stderr: /Usage/ })
  t.strictSame(await sealedOf(shop), sealed)
})

await t.test('an excluded person who was erased is not forgotten with the old key', async t => {
  const sealed = await sealedOf(shop)
  const erased = { tenant_id: tenantId, phone_hash: phoneHash(customer().e164) }
  await db.insertInto('excluded_numbers').values(erased).execute()
  t.match(await rekey(randomBytes(32)), { status: 1, stderr: /were excluded, and were erased/ })
  t.strictSame(await sealedOf(shop), sealed)
  await db.deleteFrom('excluded_numbers').execute()
})

await t.test('who opted out and was erased is not forgotten with the old key', async t => {
  const sealed = await sealedOf(shop)
  await db.updateTable('opt_outs').set({ phone: null }).where('tenant_id', '=', tenantId).execute()
  const hashes = await hashesOf(shop)
  t.match(await rekey(randomBytes(32)), { status: 1, stderr: /would be written to again/ })
  t.strictSame(await sealedOf(shop), sealed)
  t.strictSame(await hashesOf(shop), hashes)
})
