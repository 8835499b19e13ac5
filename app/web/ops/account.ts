/**
 * Who may sign in to /ops, and the tokens in forms. Limits how often a password may be tried, without locking out the right
 * one.
 */
import { timingSafeEqual } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sha256, signInMac } from '../../crypto.ts'
import { opsDb } from '../../db/kysely.ts'
import { lineOf } from '../../phone.ts'
import { isPassword } from '../../tenants/credentials.ts'
import { type Account, operatorAccount } from '../../tenants/sessions.ts'
import { addressKey, keyCounter } from '../addresses.ts'

/** After so many wrong passwords in a minute, the passwords of a client are slowed down. */
const WRONG_A_MINUTE = 10
/** Then one password a second is checked. */
const SPACING_MS = 1000
/** So many wait at most, because a proxy in front gives up after 20 s (docs/deploy.md). */
const MAX_WAITING = 16

/** The answer if too many wait already. */
const FULL = Symbol('too many wait')

/** Runs at most `slots` at once. The others wait, in the order of their arrival. */
const newQueue = (slots: number, mostWaiting: number) => {
  let running = 0
  const waiting: (() => void)[] = []
  return {
    isIdle: () => running === 0,
    run: async <Result>(work: () => Promise<Result>): Promise<Result | typeof FULL> => {
      if (running < slots) running += 1
      else if (waiting.length >= mostWaiting) return FULL
      // The one that ends hands its slot over, so `running` stays as it is.
      else await new Promise<void>(resolve => waiting.push(resolve))
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next) next()
        else running -= 1
      }
    },
  }
}

const wrong = keyCounter({ windowMs: 60_000 })
/** One queue for each client that tries a password at this moment. */
const queues = new Map<string, ReturnType<typeof newQueue>>()

/**
 * Checks the passwords of a client one after the other. So a client with many connections uses one check at a time, and
 * the right password among many wrong ones gets its turn: it is delayed, but not refused.
 *
 * @param client an address, or the devices of an account
 * @param isGone whether the client has hung up, so that no check is needed
 * @param check returns null if the password is wrong
 * @returns null if it is wrong; FULL if it is wrong after many others, or if too many wait
 */
const checkInTurn = async <Result>(
  client: string,
  isGone: () => boolean,
  check: () => Promise<Result | null | typeof FULL>,
): Promise<Result | null | typeof FULL> => {
  const queue = queues.get(client) ?? newQueue(1, MAX_WAITING)
  queues.set(client, queue)
  try {
    return await queue.run(async () => {
      if (isGone()) return FULL
      const isSlow = wrong.count(client) >= WRONG_A_MINUTE
      // The process may end meanwhile.
      if (isSlow) await sleep(SPACING_MS, undefined, { ref: false })
      const result = await check()
      if (result !== null) return result
      wrong.add(client)
      return isSlow ? FULL : null
    })
  } finally {
    if (queue.isIdle()) queues.delete(client)
  }
}

/** A tenant signs in with any number that its customers dial, or with its id. Null = no such account. */
const findAccount = async (entered: string): Promise<Account | null> => {
  if (isOperator(entered)) return operatorAccount()
  const phone = lineOf(entered)
  const id = entered.trim()
  if (!phone && !/^[1-9]\d{0,17}$/.test(id)) return null
  const tenant = await opsDb
    .selectFrom('tenants as t')
    .select(['t.id', 't.name', 't.ops_password'])
    .$if(phone !== null, query =>
      query
        .innerJoin('tenant_numbers as n', 'n.tenant_id', 't.id')
        .where('n.phone', '=', phone ?? ''),
    )
    .$if(phone === null, query => query.where('t.id', '=', id))
    .executeTakeFirst()
  return tenant
    ? { tenantId: tenant.id, business: tenant.name, credential: tenant.ops_password }
    : null
}

const isOperator = (entered: string): boolean => entered.trim().toLowerCase() === 'operator'

/**
 * A browser keeps this after it signed in. Its passwords are then limited apart from those of its address, so that
 * others in the same network cannot delay them. It is no proof of identity: the password is still needed. It ends with
 * the password.
 */
export const deviceToken = ({ tenantId, credential }: Account): string =>
  signInMac(JSON.stringify(['device', tenantId, credential])).toString('base64url')

// One check of a tenant's password takes 16 MB and a quarter of a second of a core. The threads that compute it also
// look up names for outgoing requests, and there are four.
const WAITING_CHECKS = 64
const checksOfAnyone = newQueue(2, WAITING_CHECKS)
const checksOfKnownDevices = newQueue(1, WAITING_CHECKS)

export type Client = {
  address: string
  /** What the browser kept from `deviceToken`, if it signed in before. */
  device: string | null
  isGone: () => boolean
}

/**
 * The account with this name and password. A wrong name and a wrong password give the same answer, in the same time.
 *
 * @returns 'slow' after too many wrong passwords, or while too many wait. The right password may be tried again
 */
export const authenticate = async (
  { address, device, isGone }: Client,
  name: string,
  password: string,
): Promise<Account | 'wrong' | 'slow'> => {
  const entered = name.slice(0, 100)
  const account = device === null ? null : await findAccount(entered)
  const isKnown = account && device && constantTimeEqual(device, deviceToken(account))
  const checks = isKnown ? checksOfKnownDevices : checksOfAnyone
  const client = isKnown ? `account ${account.tenantId}` : `address ${addressKey(address)}`
  const found = await checkInTurn(client, isGone, async () => {
    const wanted = await findAccount(entered)
    const isRight = isOperator(entered)
      ? wanted?.credential && constantTimeEqual(password, wanted.credential)
      : await checks.run(() => isPassword(password.slice(0, 1000), wanted?.credential ?? null))
    return isRight === FULL ? FULL : isRight ? wanted : null
  })
  if (found === FULL) return 'slow'
  return found ?? 'wrong'
}

/** Compares in a time that does not depend on where the two differ. */
const constantTimeEqual = (a: string, b: string): boolean => timingSafeEqual(sha256(a), sha256(b))

const DAY_MS = 24 * 60 * 60 * 1000

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
