/** CDRs as Voicenter pushes them, for the demo, the tests, the benchmark and the fault-injection run. */
import { randomBytes } from 'node:crypto'
import { DateTime } from 'luxon'

/** The fields have the names of Voicenter's page "CDR Notification". */
export type Push = Record<string, unknown> & { ivruniqueid: string; time: number }

const inIsrael = (at: Date) => DateTime.fromJSDate(at, { zone: 'Asia/Jerusalem' })

/** Voicenter writes the local time in Israel as if it were UTC, so this is 2 or 3 hours ahead of the real time. */
export const exchangeTime = (at: Date): number =>
  Math.floor(inIsrael(at).setZone('utc', { keepLocalTime: true }).toSeconds())

/** Voicenter's call ids start with the local time in Israel. */
export const newCallId = (at: Date): string =>
  `${inIsrael(at).toFormat('yyyyMMddHHmmss')}${randomBytes(6).toString('hex')}`

/** A customer's call that began `secondsAgo` and was not answered. `fields` replace or add fields. */
export const push = (fields: Record<string, unknown> = {}, secondsAgo = 30): Push => {
  const at = new Date(Date.now() - secondsAgo * 1000)
  return {
    caller: '0502345678',
    target: '',
    time: exchangeTime(at),
    duration: 0,
    ivruniqueid: newCallId(at),
    type: 'Incoming Call',
    status: 'NOANSWER',
    targetextension: '',
    callerextension: '',
    did: '0722776772',
    queueid: 0,
    queuename: '',
    dialtime: 24,
    representative_name: '',
    representative_code: '',
    ...fields,
  }
}

const answered = {
  status: 'ANSWER',
  duration: 95,
  targetextension: 'KGpK4iWq',
  representative_name: 'Noa',
}

/** A customer's call that an agent answered. */
export const answeredPush = (fields: Record<string, unknown> = {}, secondsAgo = 30): Push =>
  push({ ...answered, ...fields }, secondsAgo)

const callBack = {
  type: 'Extension Outgoing',
  status: 'ANSWER',
  caller: '0722776772',
  target: '972502345678',
  did: '',
  callerextension: 'SIPSIP',
  duration: 40,
}

/** A call of the tenant to a customer, who answered. */
export const callBackPush = (fields: Record<string, unknown> = {}, secondsAgo = 10): Push =>
  push({ ...callBack, ...fields }, secondsAgo)
