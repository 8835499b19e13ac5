/** What Voicenter pushes of a missed call, ready to be sent a hundred thousand times. */
import { randomBytes, randomInt } from 'node:crypto'
import { push } from '../demo/cdr.ts'
import { DID } from './postgres.ts'

/** Digits of a counter behind the head of a call id. */
const COUNTER = 8
/** Israeli mobiles 052-2000000 to 052-9999999. */
const MOBILES = 8_000_000

/**
 * The parts of a body between which a caller's seven last digits and a call's number stand; no two runs share
 * a call id.
 */
export const cdrParts = () => {
  const cdr = push({ did: DID, caller: '052CALLER' })
  const text = JSON.stringify({
    ...cdr,
    ivruniqueid: `${cdr.ivruniqueid.slice(0, 14)}${randomBytes(4).toString('hex')}NUMBER`,
  })
  const [first = '', middle = '', last = ''] = text.split(/CALLER|NUMBER/)
  return { first, middle, last, from: randomInt(MOBILES) }
}

/** Makes one body after the other, as load.lua does. */
export const cdrs = () => {
  const { first, middle, last, from } = cdrParts()
  let n = 0
  return (): string => {
    n++
    const caller = 2_000_000 + ((from + n) % MOBILES)
    return `${first}${caller}${middle}${String(n).padStart(COUNTER, '0')}${last}`
  }
}
