/** Encryption of secrets, and hashes of phone numbers. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { decrypt, phoneHash, encrypt, sha256, tokenOwner } from '../app/crypto.ts'

const OWNER = tokenOwner('7')
const SECRET = 'EAAG סוד 🔑'

await t.test('an encrypted secret is decrypted for the same owner', async t => {
  for (const secret of [SECRET, '', 'x'.repeat(100_000)])
    t.equal(decrypt(encrypt(secret, OWNER), OWNER), secret)
})

await t.test(
  'an encrypted value does not reveal the secret, and is different each time',
  async t => {
    const encrypted = encrypt(SECRET, OWNER)
    t.match(encrypted, /^v1:[0-9a-f]{8}:[\w+/]+=*$/)
    t.notMatch(Buffer.from(encrypted.slice(12), 'base64').toString('latin1'), 'EAAG')
    t.not(encrypted, encrypt(SECRET, OWNER))
  },
)

await t.test('it cannot be decrypted for another tenant', async t => {
  t.throws(
    () => decrypt(encrypt(SECRET, OWNER), tokenOwner('8')),
    /^tenant:8:access_token cannot be decrypted/,
  )
})

await t.test('it cannot be decrypted if one bit is changed or the end is missing', async t => {
  const encrypted = encrypt(SECRET, OWNER)
  const id = encrypted.slice(0, 12)
  const bytes = Buffer.from(encrypted.slice(12), 'base64')
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes)
    changed[i] = (changed[i] ?? 0) ^ 1
    t.throws(() => decrypt(id + changed.toString('base64'), OWNER), /cannot be decrypted/)
    t.throws(
      () => decrypt(id + bytes.subarray(0, i).toString('base64'), OWNER),
      /cannot be decrypted/,
    )
  }
  for (const value of ['', 'v1:', 'v1:!', 'v1:AAAA', 'EAAGplain'])
    t.throws(() => decrypt(value, OWNER), /cannot be decrypted/)
})

await t.test('the error names the key with which it was encrypted', async t => {
  const other = randomBytes(32)
  const encrypted = encrypt(SECRET, OWNER)
  const keyId = encrypted.slice(3, 11)
  try {
    decrypt(encrypted, OWNER, other)
    t.fail('it was decrypted')
  } catch (error) {
    t.match(error, { message: /cannot be decrypted/, cause: { message: new RegExp(keyId) } })
  }
})

await t.test('the error does not contain the value', async t => {
  try {
    decrypt('v1:c2VjcmV0', OWNER)
    t.fail('it was decrypted')
  } catch (error) {
    t.type(error, Error)
    t.notMatch(String(error), /c2VjcmV0|secret/)
  }
})

await t.test('the hash of a phone number is always the same, and needs the key', async t => {
  const phone = '+972502345678'
  t.strictSame(phoneHash(phone), phoneHash(phone))
  t.equal(phoneHash(phone).length, 32)
  t.notSame(phoneHash(phone), phoneHash('+972502345679'))
  t.notSame(phoneHash(phone), sha256(phone), 'it is not a plain hash, which could be looked up')
})
