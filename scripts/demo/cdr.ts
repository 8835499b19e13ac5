import { randomBytes } from 'node:crypto'

/** Fields of a push, as Voicenter's "CDR Notification" page names them. */
export type Push = Record<string, unknown> & { ivruniqueid: string; time: number }

const digits = (part: Intl.DateTimeFormatPart[]) =>
  part
    .filter(({ type }) => type !== 'literal')
    .map(({ value }) => value)
    .join('')
const jerusalem = new Intl.DateTimeFormat('en-CA', {
  timeZone: 'Asia/Jerusalem',
  hourCycle: 'h23',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})

/** The moment on a wall clock in Israel, yyyyMMddHHmmss. */
const israelClock = (at: Date): string => digits(jerusalem.formatToParts(at))

/** The exchange's epoch: Israel's wall clock written as if it were UTC, 2 or 3 hours ahead of the truth. */
export const exchangeTime = (at: Date): number => {
  const [, year, month, day, hour, minute, second] =
    /(....)(..)(..)(..)(..)(..)/.exec(israelClock(at)) ?? []
  return (
    Date.UTC(
      Number(year),
      Number(month) - 1,
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    ) / 1000
  )
}

/** A call id as the exchange makes them: the wall clock, then something that makes it unique. */
export const newCallId = (at: Date): string => `${israelClock(at)}${randomBytes(6).toString('hex')}`

/**
 * A call record as it would come now: by default a customer's call that began `secondsAgo`, rang, and was
 * answered by nobody. `fields` are laid over it.
 */
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

/** A customer's call that an agent answered. */
export const answeredPush = (fields: Record<string, unknown> = {}, secondsAgo = 30): Push =>
  push(
    {
      status: 'ANSWER',
      duration: 95,
      targetextension: 'KGpK4iWq',
      representative_name: 'Noa',
      ...fields,
    },
    secondsAgo,
  )

/** The business called a customer, who answered. */
export const callBackPush = (fields: Record<string, unknown> = {}, secondsAgo = 10): Push =>
  push(
    {
      type: 'Extension Outgoing',
      status: 'ANSWER',
      caller: '0722776772',
      target: '972502345678',
      did: '',
      callerextension: 'SIPSIP',
      duration: 40,
      ...fields,
    },
    secondsAgo,
  )
