import { RateLimiterMemory } from 'rate-limiter-flexible'
import { log } from '../log.ts'
import { sha256 } from '../crypto.ts'
import type { Sender } from './delivery.ts'

/**
 * How much of a sender's refused records is kept in a day: a gigabyte, of which each takes ten kilobytes and
 * its own size. That is 100,000 small ones, or 200 of the largest; an honest sender whose every record is
 * refused stays far below, and a malicious one does not fill the disk with rubbish.
 */
const A_DAY = 1_000_000_000
const EACH = 10_000
const weights = new RateLimiterMemory({ points: A_DAY, duration: 24 * 60 * 60 })

/** What is kept of a refused record. */
export type Refused = { reason: string; body: Buffer | null; hash: Buffer }

/** Whether this sender's refused records are still kept, or by now only counted. */
export const isKept = async (sender: Sender): Promise<boolean> =>
  ((await weights.get(nameOf(sender)))?.consumedPoints ?? 0) < A_DAY

const nameOf = ({ tenantId, source = 'push' }: Sender) => `${source} ${tenantId ?? 'unbound'}`

/** In place of what is not kept: all of a day go into one row, which says how many there were. */
export const onlyCounted = (): Refused => {
  const reason = 'refused after more than a day’s share of refused records: counted, not kept'
  const hash = sha256(`${reason} ${new Date().toISOString().slice(0, 10)}`)
  return { reason, body: null, hash }
}

/**
 * Remembers what was kept of a sender, and tells the operator of the first in a day, and when it is enough.
 *
 * @param records how many are new, and their bytes; a repeat takes no room
 */
export const remember = async (
  sender: Sender,
  { records, bytes }: { records: number; bytes: number },
): Promise<void> => {
  if (records === 0) return
  const { tenantId, source = 'push' } = sender
  const weight = records * EACH + bytes
  const { consumedPoints } = await weights.penalty(nameOf(sender), weight)
  if (consumedPoints === weight)
    log.warn({ tenantId, source }, 'a delivery was refused: its reason is in rejected_deliveries')
  if (consumedPoints >= A_DAY && consumedPoints - weight < A_DAY)
    log.error(
      { tenantId, source },
      'too much was refused today: from now on it is counted and not kept',
    )
}
