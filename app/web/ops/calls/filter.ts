/** Which calls somebody wants to see: what the form of /ops/calls asks, as conditions. */
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import { readPhone, spellings } from '../../../phone.ts'
import { callsWords } from '../words/calls.ts'

export type State = Exclude<keyof (typeof callsWords)['en']['states'], 'all'>

/** A condition on the records of a call (`r`), or on its missed call (`m`). */
type Condition = { of: 'records' | 'missed'; where: RawBuilder<boolean> }

const verdict = (verdict: string): Condition => ({
  of: 'records',
  where: sql`r.verdict = ${sql.lit(verdict)}`,
})
const missed = (where: RawBuilder<boolean>): Condition => ({ of: 'missed', where })
const outreach = (state: string, reason: string) =>
  missed(sql`m.outreach_state = ${sql.lit(state)} and m.outreach_reason = ${sql.lit(reason)}`)
/** Whether it happened before a message was sent or after. */
const ended = (how: string) =>
  missed(sql`(m.outreach_reason = ${sql.lit(how)} or exists (
    select from lead_conversations c where c.missed_call_id = m.id and c.state = ${sql.lit(how)}))`)

const CONDITIONS: Record<State, Condition> = {
  missed: verdict('missed'),
  answered: verdict('answered'),
  not_inbound: verdict('not_inbound'),
  unmatched_number: verdict('unmatched_number'),
  undecided: verdict('unknown'),
  waiting: missed(sql`m.outreach_state in ('scheduled', 'sending')`),
  contacted: missed(sql`m.outreach_state = 'sent'`),
  replied: ended('replied'),
  reached_by_phone: ended('reached_by_phone'),
  failed: missed(sql`m.outreach_state = 'failed'`),
  uncertain: missed(sql`m.outreach_state = 'unknown'`),
  not_contacted: missed(sql`m.outreach_state in ('skipped', 'cancelled')`),
  withheld_number: outreach('skipped', 'withheld_number'),
  own_number: outreach('skipped', 'own_number'),
  not_mobile: outreach('skipped', 'not_mobile'),
  opted_out: ended('opted_out'),
  already_contacted: outreach('skipped', 'already_contacted'),
  too_late: outreach('skipped', 'too_late'),
  tenant_paused: outreach('skipped', 'tenant_paused'),
  no_connection: outreach('skipped', 'no_connection'),
  shadow: outreach('skipped', 'shadow'),
  owner_replied: outreach('cancelled', 'owner_replied'),
  by_operator: outreach('cancelled', 'by_operator'),
}

/** As they stand in the form. */
export const STATE_GROUPS = {
  call: ['missed', 'answered', 'not_inbound', 'unmatched_number', 'undecided'],
  message: ['waiting', 'contacted', 'replied', 'reached_by_phone', 'failed', 'uncertain'],
  none: [
    'not_contacted',
    'withheld_number',
    'own_number',
    'not_mobile',
    'opted_out',
    'already_contacted',
    'too_late',
    'tenant_paused',
    'no_connection',
    'shadow',
    'owner_replied',
    'by_operator',
  ],
} as const satisfies Record<string, readonly State[]>

const isState = (written: string): written is State => Object.hasOwn(CONDITIONS, written)

/** A whole number in each of its spellings, or how it ends. */
export type NumberAsked = { whole: string[] } | { ends: string } | 'unreadable'

/** Anything people write for a number, or the digits they remember: the last ones. */
export const readNumber = (written: string): NumberAsked | null => {
  if (written.trim() === '') return null
  const phone = readPhone(written)
  if (phone.kind === 'number') return { whole: spellings(phone.e164) }
  if (phone.kind === 'service') return { whole: [phone.e164] }
  const digits = written.normalize('NFKC').replace(/\D/g, '')
  return digits.length >= 4 && digits.length <= 15 ? { ends: digits } : 'unreadable'
}

const day = z.union([z.literal(''), z.iso.date().refine(date => date >= '2000-01-01')]).default('')

/** Where the page before this one ended: microseconds, and an id. */
const mark = z
  .string()
  .regex(/^\d{1,17}\.\d{1,18}$/)
  .transform(written => {
    const [at = '', id = ''] = written.split('.')
    return { at, id }
  })

const asked = z.object({
  state: z.string().refine(isState).or(z.literal('')).default(''),
  number: z.string().max(100).default(''),
  from: day,
  until: day,
  before: mark.optional(),
})

export type Filter = {
  tenantId: string | null
  /** On whose clock a day begins and ends. */
  timezone: string
  state: State | null
  number: NumberAsked | null
  from: string | null
  until: string | null
  before: { at: string; id: string } | null
}

/** @throws ZodError for what no form of ours asks */
export const readFilter = (
  given: Record<string, string>,
  whose: Pick<Filter, 'tenantId' | 'timezone'>,
): Filter => {
  const { state, number, from, until, before } = asked.parse(given)
  return {
    ...whose,
    state: state === '' ? null : state,
    number: readNumber(number),
    from: from || null,
    until: until || null,
    before: before ?? null,
  }
}

export const conditionOf = (state: State | null): Condition =>
  state ? CONDITIONS[state] : { of: 'records', where: sql`true` }
