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

/**
 * One key in the environment, one key derived from it for each use, so that nothing which leaks from one use
 * helps against the other.
 */
const keyFor = (use: string, key: Buffer = config().ENCRYPTION_KEY): Buffer =>
  Buffer.from(hkdfSync('sha256', key, '', `ringback ${use}`, 32))

/** Kept as a key object: making it from bytes for each hash would take longer than the hash. */
let phoneKey: KeyObject | undefined

/** Tells which key something was sealed under, and nothing about it. */
const idOf = (key?: Buffer): string => keyFor('key id', key).toString('hex', 0, 4)

/** 96 bits: the nonce length for which AES-GCM is defined without further hashing. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Encrypts a secret for the database: AES-256-GCM, a fresh nonce for every write, bound to `owner`
 * (`tenant:7:access_token`), so that a value copied into another tenant's row cannot be opened there.
 * Not pgcrypto: it would hand key and clear text to the server, and so to its logs.
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
 * @param key another than today's ENCRYPTION_KEY, as while they are being replaced
 * @throws Error if the value was changed, belongs to another owner, or was sealed under another
 * ENCRYPTION_KEY (scripts/rekey.ts moves all of them to a new one).
 */
export const decrypt = (value: string, owner: string, key?: Buffer): string => {
  // The first ones were written without the id of their key.
  const [, id = idOf(key), sealed = ''] = /^v1:(?:([0-9a-f]{8}):)?(.*)$/s.exec(value) ?? []
  const bytes = Buffer.from(sealed, 'base64')
  try {
    if (id !== idOf(key)) throw new Error(`sealed under key ${id}, and this is ${idOf(key)}`)
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
      `${owner} cannot be decrypted: is ENCRYPTION_KEY the one it was stored under?`,
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

/** How an opted-out person is still known after her number was erased. Without the key it tells nothing. */
export const phoneHash = (e164: string): Buffer =>
  createHmac('sha256', (phoneKey ??= createSecretKey(keyFor('phone'))))
    .update(e164)
    .digest()

/** What only we can have written: the session of a sign-in, and the forms of its pages. */
export const signInMac = (text: string): Buffer =>
  createHmac('sha256', keyFor('sign-in')).update(text).digest()

export const sha256 = (data: string | Uint8Array): Buffer => hash('sha256', data, 'buffer')
