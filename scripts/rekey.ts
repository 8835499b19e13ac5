/**
 * npm run rekey: encrypts all secrets with a new ENCRYPTION_KEY, in one transaction. Safe to run twice. Messages that are due
 * between the change of the key and this command wait.
 */
import {
  appSecretOwner,
  callLogOwner,
  decrypt,
  encrypt,
  eventSecretOwner,
  phoneHash,
  tokenOwner,
} from '../app/crypto.ts'
import { db, type Trx } from '../app/db/kysely.ts'

const HELP = `Usage: OLD_ENCRYPTION_KEY=... ENCRYPTION_KEY=... npm run rekey

Run this command with both keys (a new one: openssl rand -base64 32). Then start the program with the new key. It does not
start with a key that cannot decrypt the secrets. Messages that are due meanwhile wait.`

const oldKey = Buffer.from(process.env['OLD_ENCRYPTION_KEY'] ?? '', 'base64')
if (process.argv.includes('--help') || oldKey.length !== 32) {
  console.error(HELP)
  process.exit(process.argv.includes('--help') ? 0 : 2)
}

/** The secret encrypted with the new key; null if it was already. */
const reencrypted = (value: string, owner: string): string | null => {
  try {
    decrypt(value, owner)
    return null
  } catch {
    // Throws if the old key does not fit either.
    return encrypt(decrypt(value, owner, oldKey), owner)
  }
}

const reencryptAll = async (trx: Trx): Promise<number> => {
  let count = 0
  const connections = trx
    .selectFrom('whatsapp_connections')
    .select(['id', 'tenant_id', 'access_token', 'app_secret'])
  for (const { id, tenant_id, access_token, app_secret } of await connections
    .forUpdate()
    .execute()) {
    const row = trx.updateTable('whatsapp_connections').where('id', '=', id)
    const token = reencrypted(access_token, tokenOwner(tenant_id))
    if (token !== null) await row.set({ access_token: token }).execute()
    const secret = app_secret === null ? null : reencrypted(app_secret, appSecretOwner(tenant_id))
    if (secret !== null) await row.set({ app_secret: secret }).execute()
    count += Number(token !== null) + Number(secret !== null)
  }
  const logs = trx.selectFrom('call_log_access').select(['tenant_id', 'credential'])
  for (const { tenant_id, credential } of await logs.forUpdate().execute()) {
    const value = reencrypted(credential, callLogOwner(tenant_id))
    if (value === null) continue
    const row = trx.updateTable('call_log_access').where('tenant_id', '=', tenant_id)
    await row.set({ credential: value }).execute()
    count++
  }
  const endpoints = trx
    .selectFrom('event_endpoints')
    .select(['id', 'tenant_id', 'secret', 'previous_secret'])
  for (const { id, tenant_id, secret, previous_secret } of await endpoints.forUpdate().execute()) {
    const row = trx.updateTable('event_endpoints').where('id', '=', id)
    const owner = eventSecretOwner(tenant_id)
    const value = reencrypted(secret, owner)
    if (value !== null) await row.set({ secret: value }).execute()
    const previous = previous_secret === null ? null : reencrypted(previous_secret, owner)
    if (previous !== null) await row.set({ previous_secret: previous }).execute()
    count += Number(value !== null) + Number(previous !== null)
  }
  return count
}

const rehashAll = async (trx: Trx): Promise<void> => {
  for (const table of ['opt_outs', 'excluded_numbers'] as const) {
    const hashed = trx.selectFrom(table).select(['id', 'phone']).where('phone_hash', 'is not', null)
    const rows = await hashed.forUpdate().execute()
    const erased = rows.filter(({ phone }) => phone === null).length
    if (erased)
      throw new Error(
        `${erased} people opted out or were excluded, and were erased. Only a hash made with the old key identifies them. With a new key they would be written to again. Keep the old key, and give each business a new access token (npm run tenant -- connect)`,
      )
    for (const { id, phone } of rows)
      if (phone !== null) {
        const row = trx.updateTable(table).where('id', '=', id)
        await row.set({ phone_hash: phoneHash(phone) }).execute()
      }
  }
}

try {
  const count = await db.transaction().execute(async trx => {
    const changed = await reencryptAll(trx)
    // If no secret used the old key, the hashes do not use it either.
    if (changed) await rehashAll(trx)
    return changed
  })
  console.log(`${count} secrets are now under the new key`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await db.destroy()
}
