import { randomBytes } from 'node:crypto'
import t from 'tap'
import { decrypt, phoneHash, encrypt, sha256, tokenOwner } from '../app/crypto.ts'

const OWNER = tokenOwner('7')
const SECRET = 'EAAG סוד 🔑'

await t.test('what was sealed is opened again, for the same owner', async t => {
  for (const secret of [SECRET, '', 'x'.repeat(100_000)])
    t.equal(decrypt(encrypt(secret, OWNER), OWNER), secret)
})

await t.test('a sealed value shows nothing of the secret, and never looks the same', async t => {
  const sealed = encrypt(SECRET, OWNER)
  t.match(sealed, /^v1:[0-9a-f]{8}:[\w+/]+=*$/)
  t.notMatch(Buffer.from(sealed.slice(12), 'base64').toString('latin1'), 'EAAG')
  t.not(sealed, encrypt(SECRET, OWNER))
})

await t.test('in the row of another tenant it cannot be opened', async t => {
  t.throws(
    () => decrypt(encrypt(SECRET, OWNER), tokenOwner('8')),
    /^tenant:8:access_token cannot be decrypted/,
  )
})

await t.test('changed by one bit anywhere, or cut, it cannot be opened', async t => {
  const sealed = encrypt(SECRET, OWNER)
  const id = sealed.slice(0, 12)
  const bytes = Buffer.from(sealed.slice(12), 'base64')
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes)
    changed[i] = (changed[i] ?? 0) ^ 1
    t.throws(() => decrypt(id + changed.toString('base64'), OWNER), /cannot be decrypted/)
    t.throws(
      () => decrypt(id + bytes.subarray(0, i).toString('base64'), OWNER),
      /cannot be decrypted/,
    )
  }
  for (const nonsense of ['', 'v1:', 'v1:!', 'EAAGplain'])
    t.throws(() => decrypt(nonsense, OWNER), /cannot be decrypted/)
})

await t.test('the key it was sealed under is named, and another one is told so', async t => {
  const other = randomBytes(32)
  const sealed = encrypt(SECRET, OWNER)
  const named = sealed.slice(3, 11)
  try {
    decrypt(sealed, OWNER, other)
    t.fail('was opened')
  } catch (error) {
    t.match(error, { message: /cannot be decrypted/, cause: { message: new RegExp(named) } })
  }
  const unnamed = sealed.replace(`${named}:`, '')
  t.equal(decrypt(unnamed, OWNER), SECRET, 'the first ones have no name')
  t.throws(() => decrypt(unnamed, OWNER, other), /cannot be decrypted/)
})

await t.test('what goes wrong is told without the value', async t => {
  try {
    decrypt('v1:c2VjcmV0', OWNER)
    t.fail('was opened')
  } catch (error) {
    t.type(error, Error)
    t.notMatch(String(error), /c2VjcmV0|secret/)
  }
})

await t.test('a phone number’s hash is always the same, and needs the key', async t => {
  const phone = '+972502345678'
  t.strictSame(phoneHash(phone), phoneHash(phone))
  t.equal(phoneHash(phone).length, 32)
  t.notSame(phoneHash(phone), phoneHash('+972502345679'))
  t.notSame(phoneHash(phone), sha256(phone), 'whoever knows all numbers cannot look it up')
})
