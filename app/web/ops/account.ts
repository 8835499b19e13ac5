import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { config } from '../../config.ts'
import { opsDb } from '../../db/kysely.ts'
import { lineOf } from '../../phone.ts'
import { isPassword } from '../../tenants/credentials.ts'
import { refuse } from './refuse.ts'
import { isEqual } from './session.ts'

/** Who may sign in: by `operator`, or by the id of a business. */
export type Account = {
  name: string
  /** What the password is checked against. */
  credential: string
  /** The name of the business; null = the operator. */
  business: string | null
}

/**
 * Wrong passwords a minute from one address before it has to wait. Not by name: then anybody could keep the
 * operator out from anywhere, and Prometheus with her.
 */
const failures = new RateLimiterMemory({ points: 10, duration: 60 })
/** Each takes 16 MB and a quarter of a second: all the world together tries no faster than this. */
const MOST_AT_ONCE = 4
let checking = 0

/** null = nobody signs in by this name. */
export const accountOf = async (name: string): Promise<Account | null> => {
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

/** A business is known by any number that its customers dial, or by its id. */
const nameOf = async (written: string): Promise<string> => {
  const phone = lineOf(written)
  if (!phone) return written.trim().toLowerCase()
  const line = await opsDb
    .selectFrom('tenant_numbers')
    .select('tenant_id')
    .where('phone', '=', phone)
    .executeTakeFirst()
  return line?.tenant_id ?? phone
}

const isTenantsPassword = async (password: string, account: Account | null) => {
  if (checking >= MOST_AT_ONCE) refuse(429)
  checking += 1
  try {
    return await isPassword(password, account?.credential ?? null)
  } finally {
    checking -= 1
  }
}

/**
 * Whose password this is; null when the name or the password is wrong, which sounds and takes the same.
 *
 * @throws refuses with 429 after too many wrong ones, before anything is looked up
 */
export const accountWith = async (
  address: string,
  written: string,
  password: string,
): Promise<Account | null> => {
  if (((await failures.get(address))?.remainingPoints ?? 1) <= 0) refuse(429)
  const name = await nameOf(written.slice(0, 100))
  const account = await accountOf(name)
  const isRight =
    name === 'operator'
      ? account !== null && isEqual(password, account.credential)
      : await isTenantsPassword(password.slice(0, 1000), account)
  if (isRight) return account
  await failures.consume(address).catch((error: unknown) => {
    if (!(error instanceof RateLimiterRes)) throw error
  })
  return null
}
