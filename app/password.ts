import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

/** 16 MB and some 200 ms of one core for each try: what a small dyno can bear, five times over (OWASP's fourth choice). */
const COST = { N: 2 ** 14, r: 8, p: 5 }
const HASH_BYTES = 32
const SALT_BYTES = 16
const MEMORY = 64 * 1024 * 1024

/** Long enough that nobody guesses it over the wire, short enough that nobody hashes megabytes. */
export const password = z
  .string()
  .min(12, 'a password of at least 12 characters')
  .max(200, 'a password of at most 200 characters')

type Cost = typeof COST

const hash = (text: string, salt: Buffer, cost: Cost): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    // The same letters, however a keyboard composes them.
    scrypt(text.normalize('NFKC'), salt, HASH_BYTES, { ...cost, maxmem: MEMORY }, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })

/** As it is kept in `tenants.ops_password`: the cost, a salt of its own, and the hash. */
export const hashPassword = async (text: string): Promise<string> => {
  const salt = randomBytes(SALT_BYTES)
  const key = await hash(text, salt, COST)
  return `scrypt:${COST.N}:${COST.r}:${COST.p}:${salt.toString('base64')}:${key.toString('base64')}`
}

/** Of nobody's password. Compared with when there is no such name, so that both take the same time. */
const NOBODYS = `scrypt:${COST.N}:${COST.r}:${COST.p}:${Buffer.alloc(SALT_BYTES).toString('base64')}:${Buffer.alloc(HASH_BYTES).toString('base64')}`

/**
 * @param stored what `hashPassword` made; null = nobody may sign in, which takes as long as a wrong password
 */
export const isPassword = async (text: string, stored: string | null): Promise<boolean> => {
  const [, N, r, p, salt = '', key = ''] = (stored ?? NOBODYS).split(':')
  const expected = Buffer.from(key, 'base64')
  const cost = { N: Number(N), r: Number(r), p: Number(p) }
  const found = await hash(text, Buffer.from(salt, 'base64'), cost)
  return timingSafeEqual(found, expected) && stored !== null
}
