import { canonical } from '../json.ts'
import { sha256 } from '../crypto.ts'
import type { Element } from './body.ts'
import { readCdr, rootOf } from './cdr.ts'
import type { Refused } from './refusals.ts'

/**
 * Whose credential the records came with; null = an unbound token. And which way: pushed to us, unless it is
 * said that they were found in Voicenter's call log. `token`: the hash in hex of what was shown, if it must
 * still be valid when they are stored.
 */
export type Sender = { tenantId: string | null; source?: 'push' | 'call_log'; token?: string }

/** A record that can be read, as it will be stored: `payload` is its canonical form, `body` the bytes as they came. */
export type Good = {
  callId: string
  rootCallId: string
  payload: Buffer
  body: Buffer
  hash: Buffer
}

/** One POST, or one page of the call log: what of it is a record, and what is none. */
export type Delivery = {
  sender: Sender
  contentType: string | null
  good: Good[]
  bad: Refused[]
}

/** Reads each element for itself: a bad one takes no other with it. */
export const sortOut = (elements: readonly Element[]): { good: Good[]; bad: Refused[] } => {
  const good: Good[] = []
  const bad: Refused[] = []
  for (const element of elements) {
    const read = 'wrong' in element ? element : readCdr(element.record)
    if ('wrong' in read || 'wrong' in element) {
      const reason = 'wrong' in read ? read.wrong : ''
      bad.push({ reason, body: element.bytes, hash: sha256(element.bytes) })
      continue
    }
    const payload = Buffer.from(canonical(element.record))
    const { callId } = read.cdr
    good.push({
      callId,
      rootCallId: rootOf(read.cdr),
      payload,
      body: element.bytes,
      hash: sha256(payload),
    })
  }
  return { good, bad }
}
