/** Sessions without a table: a sign-in is a text that only we can have written. Pure but for the key. */
import { timingSafeEqual } from 'node:crypto'
import { sha256, signInMac } from '../../crypto.ts'

const HOUR = 60 * 60 * 1000
/** A working day; whoever comes back tomorrow signs in again. */
export const SESSION_MS = 12 * HOUR
const DAY = 24 * HOUR

/** Equal or not, in a time that tells nothing about where they differ. */
export const isEqual = (a: string | Buffer, b: string | Buffer): boolean =>
  timingSafeEqual(sha256(a), sha256(b))

const macOf = (name: string, since: number, credential: string): string =>
  signInMac(JSON.stringify(['session', name, since, credential])).toString('base64url')

/**
 * @param name `operator`, or the id of a business
 * @param credential what the password is checked against: with another one, every session has ended
 */
export const newSession = (name: string, credential: string, now: Date): string =>
  `${name}.${now.getTime()}.${macOf(name, now.getTime(), credential)}`

/** Who claims to have signed in. Not to be believed before `isSession`. */
export const nameIn = (session: string): string => session.split('.')[0] ?? ''

/** Whether we wrote it, for this credential, and less than SESSION_MS ago. */
export const isSession = (session: string, credential: string, now: Date): boolean => {
  const [name = '', since = '', mac = ''] = session.split('.')
  const age = now.getTime() - Number(since)
  return age >= 0 && age < SESSION_MS && isEqual(mac, macOf(name, Number(since), credential))
}

const formMac = (who: string, day: number): string =>
  signInMac(JSON.stringify(['form', who, day])).toString('base64url')
const dayOf = (now: Date): number => Math.floor(now.getTime() / DAY)

/**
 * What every form of a page carries and another site cannot know.
 *
 * @param who the session; of a sign-in without one, its name
 */
export const formToken = (who: string, now: Date): string => formMac(who, dayOf(now))

/** Good for the day it was written, and the next: a page may have been open over midnight. */
export const isFormToken = (token: string, who: string, now: Date): boolean =>
  [0, 1].some(days => isEqual(token, formMac(who, dayOf(now) - days)))
