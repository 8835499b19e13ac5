/** How a caller and a verdict are shown, in the list and on the page of one call. */
import { readCdr } from '../../../voicenter/parse.ts'
import { isObject } from '../../../json.ts'
import { readPhone } from '../../../phone.ts'
import { html, type Html } from '../html.ts'
import { telephone } from '../format.ts'
import type { Language } from '../language.ts'
import { callsWords } from '../words/calls.ts'

/** What stands in a caller's place may be a word of any length. */
const LONGEST = 40

type Caller = {
  verdict: string | null
  outreachReason: string | null
  customerPhone: string | null
  customerName: string | null
  /** Of a record in which no number shows. */
  payload: unknown
}

/** Who called: name and number; where there is none, what the exchange wrote instead. */
export const callerOf = (language: Language, call: Caller): Html => {
  const { customerPhone, customerName } = call
  if (customerPhone !== null)
    return html`${customerName !== null && html`<bdi>${customerName}</bdi> `}${telephone(customerPhone)}`
  const { withheld } = callsWords[language]
  if (call.outreachReason === 'withheld_number') return html`${withheld}`
  const read = isObject(call.payload) ? readCdr(call.payload) : null
  // Of an outgoing or internal call there is no caller to speak of.
  if (!read || 'wrong' in read || call.verdict === 'not_inbound') return telephone(null)
  const { caller = null } = read.cdr
  return readPhone(caller).kind === 'withheld'
    ? html`${withheld}`
    : html`<bdi>${caller?.slice(0, LONGEST)}</bdi>`
}

const TONES: Record<string, string> = {
  missed: 'warn',
  answered: 'good',
  unmatched_number: 'bad',
  unknown: 'warn',
}

/** The verdict in a word. */
export const verdictBadge = (language: Language, { verdict }: { verdict: string | null }): Html => {
  const words: Record<string, string> = callsWords[language].verdicts
  return html`<span class="badge ${TONES[verdict ?? '']}"
    >${words[verdict ?? 'unjudged'] ?? verdict}</span
  >`
}
