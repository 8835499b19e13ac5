/** Who may sign in to /ops, and the sessions of those who did. */
import { timingSafeEqual } from 'node:crypto'
import { config } from '../../config.ts'
import { sha256, signInMac } from '../../crypto.ts'
import { opsDb } from '../../db/kysely.ts'
import { lineOf } from '../../phone.ts'
import { isPassword } from '../../tenants/credentials.ts'
import { addressCounter } from '../addresses.ts'
import { abort } from './errors.ts'

/** The operator, or one business. */
export type Account = {
  /** `operator`, or the id of the tenant. */
  name: string
  /** The stored password or its hash. A new password ends all sessions, because their MAC contains it. */
  credential: string
  /** The name of the business; null = the operator. */
  business: string | null
}

/**
 * Wrong passwords per minute and address. The limit is not per account: otherwise anybody could lock out the
 * operator, and Prometheus with the same password.
 */
const MAX_FAILURES = 10
const failures = addressCounter({ windowMs: 60_000 })
/** One check of a password takes 16 MB and a quarter of a second. */
const MAX_CHECKS = 4
let checking = 0

/** null = there is no account with this name, or it has no password. */
export const findAccount = async (name: string): Promise<Account | null> => {
  if (name === 'operator') {
    const { OPS_PASSWORD } = config()
    return OPS_PASSWORD ? { name, credential: OPS_PASSWORD, business: null } : null
  }
  if (!/^[1-9]\d{0,17}$/.test(name)) return null
  const tenant = await opsDb
    .selectFrom('tenants')
    .select(['name', 'ops_password'])
    .where('id', '=', name)
    .executeTakeFirst()
  return tenant?.ops_password
    ? { name, credential: tenant.ops_password, business: tenant.name }
    : null
}

/** A business signs in with any number that its customers dial, or with its id. */
const accountName = async (entered: string): Promise<string> => {
  const phone = lineOf(entered)
  if (!phone) return entered.trim().toLowerCase()
  const line = await opsDb
    .selectFrom('tenant_numbers')
    .select('tenant_id')
    .where('phone', '=', phone)
    .executeTakeFirst()
  return line?.tenant_id ?? phone
}

const isTenantPassword = async (password: string, account: Account | null) => {
  if (checking >= MAX_CHECKS) abort(429)
  checking += 1
  try {
    return await isPassword(password, account?.credential ?? null)
  } finally {
    checking -= 1
  }
}

/**
 * The account with this name and password. A wrong name and a wrong password give the same answer, in the same time.
 *
 * @throws status 429 after too many wrong passwords, before any query
 */
export const authenticate = async (
  address: string,
  entered: string,
  password: string,
): Promise<Account | null> => {
  if (failures.count(address) >= MAX_FAILURES) abort(429)
  const name = await accountName(entered.slice(0, 100))
  const account = await findAccount(name)
  const isRight =
    name === 'operator'
      ? account !== null && constantTimeEqual(password, account.credential)
      : await isTenantPassword(password.slice(0, 1000), account)
  if (isRight) return account
  failures.add(address)
  return null
}

/** Compares in a time that does not depend on where the two differ. */
const constantTimeEqual = (a: string, b: string): boolean => timingSafeEqual(sha256(a), sha256(b))

/** Half a day: long enough for a working day. */
export const SESSION_MS = 12 * 60 * 60 * 1000
const DAY_MS = 24 * 60 * 60 * 1000

// Sessions need no table. The cookie is `name.time.MAC`, and only this program can compute the MAC.

const sessionMac = (name: string, since: number, credential: string): string =>
  signInMac(JSON.stringify(['session', name, since, credential])).toString('base64url')

export const newSession = ({ name, credential }: Account, now: Date): string =>
  `${name}.${now.getTime()}.${sessionMac(name, now.getTime(), credential)}`

/** The account name in a session that is not verified yet. */
export const sessionName = (session: string): string => session.split('.')[0] ?? ''

/** Whether this program issued the session, for this credential, less than SESSION_MS ago. */
export const isValidSession = (session: string, credential: string, now: Date): boolean => {
  const [name = '', since = '', mac = ''] = session.split('.')
  const age = now.getTime() - Number(since)
  const expected = sessionMac(name, Number(since), credential)
  return age >= 0 && age < SESSION_MS && constantTimeEqual(mac, expected)
}

const formMac = (key: string, day: number): string =>
  signInMac(JSON.stringify(['form', key, day])).toString('base64url')
const dayNumber = (now: Date): number => Math.floor(now.getTime() / DAY_MS)

/**
 * The CSRF token in each form.
 *
 * @param key the session, or the account name if there is no session
 */
export const formToken = (key: string, now: Date): string => formMac(key, dayNumber(now))

/** A token is valid on its day and on the next: a page may stay open over midnight. */
export const isValidFormToken = (token: string, key: string, now: Date): boolean =>
  [0, 1].some(days => constantTimeEqual(token, formMac(key, dayNumber(now) - days)))
