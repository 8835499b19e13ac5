import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hash,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { config } from './config.ts'

/** Each use has its own key, derived from ENCRYPTION_KEY, so that a leak in one use does not affect another. */
const keyFor = (use: string, key: Buffer = config().ENCRYPTION_KEY): Buffer =>
  Buffer.from(hkdfSync('sha256', key, '', `ringback ${use}`, 32))

/** Cached as a key object: making it takes longer than the hash. */
let phoneKey: KeyObject | undefined

/** Identifies a key without revealing it. */
const idOf = (key?: Buffer): string => keyFor('key id', key).toString('hex', 0, 4)

/** 96 bits: the nonce length for which AES-GCM is defined without further hashing. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Encrypts a secret for the database with AES-256-GCM and a fresh nonce. It is bound to `owner`
 * (`tenant:7:access_token`), so a value that is copied into another tenant's row cannot be decrypted. Not pgcrypto, which
 * would send the key and the plain text to the server and so to its logs.
 */
export const encrypt = (secret: string, owner: string): string => {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyFor('seal'), nonce, {
    authTagLength: TAG_BYTES,
  }).setAAD(Buffer.from(owner))
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return `v1:${idOf()}:${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64')}`
}

/**
 * @param key another key than ENCRYPTION_KEY, while the key is being changed (scripts/rekey.ts)
 * @throws Error if the value was changed, belongs to another owner, or was encrypted with another key
 */
export const decrypt = (value: string, owner: string, key?: Buffer): string => {
  const [, id, sealed = ''] = /^v1:([0-9a-f]{8}):(.*)$/s.exec(value) ?? []
  const bytes = Buffer.from(sealed, 'base64')
  try {
    if (id !== idOf(key)) throw new Error(`encrypted with key ${id}, and this is ${idOf(key)}`)
    const nonce = bytes.subarray(0, NONCE_BYTES)
    const decipher = createDecipheriv('aes-256-gcm', keyFor('seal', key), nonce, {
      authTagLength: TAG_BYTES,
    })
      .setAAD(Buffer.from(owner))
      .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
    return (
      decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') +
      decipher.final('utf8')
    )
  } catch (cause) {
    throw new Error(
      `${owner} cannot be decrypted: is ENCRYPTION_KEY the one with which it was stored?`,
      { cause },
    )
  }
}

/** The owner string of a WhatsApp connection's token. */
export const tokenOwner = (tenantId: string): string => `tenant:${tenantId}:access_token`

/** The owner string of the secret of a connection's own Meta app. */
export const appSecretOwner = (tenantId: string): string => `tenant:${tenantId}:app_secret`

/** The owner string of a call log credential. */
export const callLogOwner = (tenantId: string): string => `tenant:${tenantId}:call_log_credential`

/** The owner string of the secret of an event endpoint. */
export const eventSecretOwner = (tenantId: string): string => `tenant:${tenantId}:event_secret`

/** Identifies a person who opted out after their number was erased. Without the key it reveals nothing. */
export const phoneHash = (e164: string): Buffer =>
  createHmac('sha256', (phoneKey ??= createSecretKey(keyFor('phone'))))
    .update(e164)
    .digest()

/** A number from 0 to 1 that is always the same for a person of a tenant. It cannot be computed without the key. */
export const holdoutPlace = (tenantId: string, person: string): number =>
  createHmac('sha256', keyFor('holdout'))
    .update(JSON.stringify([tenantId, person]))
    .digest()
    .readUIntBE(0, 6) /
  2 ** 48

/** Proves that this program wrote a text, such as a form token, or identifies a password without revealing it. */
export const signInMac = (text: string): Buffer =>
  createHmac('sha256', keyFor('sign-in')).update(text).digest()

/** Identifies the password of an account without revealing it. */
export const credentialMac = ({
  tenantId,
  credential,
}: {
  tenantId: string | null
  credential: string | null
}): Buffer => signInMac(JSON.stringify(['credential', tenantId, credential]))

/** The SHA-256 as bytes. Hex is decoded, because `hash` takes twice as long to return a buffer. */
export const sha256 = (data: string | Uint8Array): Buffer => Buffer.from(sha256Hex(data), 'hex')

/** The SHA-256 in hex. */
export const sha256Hex = (data: string | Uint8Array): string => hash('sha256', data, 'hex')
