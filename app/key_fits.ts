import { db } from './db/kysely.ts'
import { log } from './log.ts'
import { startupError } from './errors.ts'
import { decrypt, tokenOwner } from './crypto.ts'
import { credentialOwner } from './voicenter/call_log/access.ts'

/**
 * Looks whether ENCRYPTION_KEY opens what is stored. With a wrong one nothing could be sent, and what is stored from
 * then on would be under another key than all before.
 *
 * @throws Error that says what to do, if it opens nothing. That single ones do not open is only told: they are
 * one business's trouble, and the others go on.
 */
export const verifyEncryptionKey = async (): Promise<void> => {
  const sealed = await stored()
  const shut = sealed.filter(({ value, owner }) => !opens(value, owner)).length
  if (shut && shut === sealed.length)
    throw startupError(
      `ENCRYPTION_KEY opens none of the ${shut} secrets that are stored: give the key under which they were stored, or move them to this one with OLD_ENCRYPTION_KEY=... npm run rekey (docs/deploy.md)`,
    )
  if (shut) log.warn(`ENCRYPTION_KEY does not open ${shut} of ${sealed.length} stored secrets`)
}

const stored = async (): Promise<{ value: string; owner: string }[]> => {
  const tokens = await db
    .selectFrom('whatsapp_connections')
    .select(['tenant_id', 'access_token as value'])
    .execute()
  const credentials = await db
    .selectFrom('call_log_access')
    .select(['tenant_id', 'credential as value'])
    .execute()
  return [
    ...tokens.map(({ tenant_id, value }) => ({ value, owner: tokenOwner(tenant_id) })),
    ...credentials.map(({ tenant_id, value }) => ({ value, owner: credentialOwner(tenant_id) })),
  ]
}

const opens = (value: string, owner: string): boolean => {
  try {
    decrypt(value, owner)
    return true
  } catch {
    return false
  }
}
