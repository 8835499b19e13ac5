import { z } from 'zod'
import { callKind, isNotInbound } from './call_kind.ts'
import type { JsonObject } from '../json.ts'
import { fieldsOf } from './fields.ts'

const MAX_ID = 128

const wrongWithId = (value: unknown): string[] => {
  if (typeof value !== 'string') return ['call id is neither text nor a whole number']
  return [
    value.length > MAX_ID && `call id is longer than ${MAX_ID} characters`,
    (!value.isWellFormed() || /\p{Cc}/u.test(value)) && 'call id holds control characters',
  ].filter(wrong => wrong !== false)
}

const id = z.custom<string>(value => wrongWithId(value).length === 0, {
  error: ({ input }) => wrongWithId(input).join('; '),
  // Whatever else is wrong with the record is told too.
  abort: false,
})

/** null = there but blank, undefined = not there at all. For an agent the difference matters. */
const text = z.string().nullish()

// One transformation at the end, not one for each field: zod takes four times as long for those.
const cdrShape = z.object({
  callId: id.optional(),
  status: text,
  caller: text,
  did: text,
  numberShown: text,
  target: text,
  time: text,
  type: text,
  direction: text,
  isAnswer: text,
  talkSeconds: text,
  ringSeconds: text,
  agent: text,
  callerExtension: text,
  representative: text,
  // What cannot be an id joins nothing: the record then stands for itself.
  rootCallId: id.nullish().catch(null),
})

const count = (value: string | null = null): number | null =>
  value && /^\d{1,9}$/.test(value) ? Number(value) : null

const cdr = cdrShape
  .superRefine((record, context) => {
    const missing = (what: string) => context.addIssue(`${what} is missing`)
    if (record.callId === undefined) missing('call id (ivruniqueid or CallID)')
    if (!record.status) missing('status (status or DialStatus)')
    // An outgoing or internal call has no caller and no number dialled to speak of.
    if (isNotInbound(callKind(record))) return
    if (record.caller === undefined) missing('caller (caller, callerPhone or CallerNumber)')
    if (record.did === undefined) missing('number dialled (did or DID)')
  })
  .transform(({ callId = '', status, isAnswer, talkSeconds, ringSeconds, ...rest }) => ({
    ...rest,
    callId,
    status: status ?? '',
    isAnswer: isAnswer ? /^(1|true)$/i.test(isAnswer) : null,
    talkSeconds: count(talkSeconds),
    ringSeconds: count(ringSeconds),
  }))

/** One call record, whatever shape it came in. */
export type Cdr = z.infer<typeof cdr>

/** Reads a record, or says what is missing or wrong, in words that name no value. */
export const readCdr = (record: JsonObject): { cdr: Cdr } | { wrong: string } => {
  const { data, error } = cdr.safeParse(fieldsOf(record))
  return data ? { cdr: data } : { wrong: error.issues.map(issue => issue.message).join('; ') }
}

/** The first of a call's records: what all of them are joined by. */
export const rootOf = (record: Cdr): string => record.rootCallId ?? record.callId
