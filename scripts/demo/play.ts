/** The play: a morning at a hairdresser's, call by call, and how each must end. */
import type { ScriptInput } from '../fake-whatsapp/outcomes.ts'
import { answeredPush, callBackPush, push } from './cdr.ts'

/** How a call ended. */
export type Ending = {
  /** HTTP status of the answer to its last record; absent = 200 and not worth a word. */
  answer?: number
  verdict?: string
  /** "state / reason" of the outreach; absent = no missed call was recorded. */
  outreach?: string
  /** Messages on the person's phone. */
  messages: number
}

export type Scene = {
  who: string
  /** What happens, in words. */
  what: string
  /** The person's own number, E.164; null when she withholds it. */
  phone: string | null
  /** What the exchange posts, one after the other; text goes as it is, as a form. */
  records: (Record<string, unknown> | string)[]
  /** The call that the end is about: its root's id. */
  callId: string | null
  /** What WhatsApp is made to do with the message. */
  whatsApp?: ScriptInput
  ends: Ending
}

const DAY = 24 * 60 * 60

const missed = (
  who: string,
  what: string,
  phone: string,
  ends: Partial<Ending> = {},
  fields: Record<string, unknown> = {},
): Scene & { record: ReturnType<typeof push> } => {
  const record = push({ caller: phone.replace('+972', '0'), ...fields })
  return {
    who,
    what,
    phone,
    record,
    records: [record],
    callId: record.ivruniqueid,
    ends: { verdict: 'missed', outreach: 'sent / accepted', messages: 1, ...ends },
  }
}

/** A fresh play: call ids and times of this very moment. */
export const newPlay = (): Scene[] => {
  const dana = missed('Dana', 'calls; it rings, and nobody answers', '+972502345678')
  const again = missed('Dana', 'calls again a moment later; nobody answers', '+972502345678', {
    outreach: 'skipped / already_contacted',
  })
  const avi = missed(
    'Avi',
    'hangs up while waiting in the queue; the record comes three times',
    '+972523456789',
    {},
    { type: 'Queue', status: 'ABANDONE' },
  )
  const ruth = missed(
    'Ruth',
    'calls; the line is busy (the record comes as a form)',
    '+972542345678',
    {},
    { status: 'BUSY' },
  )
  const yossi = missed('Yossi', 'is missed, calls again and is answered by Noa', '+972532345671', {
    outreach: 'cancelled / reached_by_phone',
    messages: 0,
  })
  const maya = missed(
    'Maya',
    'is missed; the business calls her back and she answers',
    '+972532345672',
    { outreach: 'cancelled / reached_by_phone', messages: 0 },
  )
  const lea = missed(
    'Lea',
    'is missed by one phone; another record of the same call says it was answered',
    '+972532345673',
    { verdict: 'answered', outreach: 'cancelled / reached_by_phone', messages: 0 },
  )
  const office = missed('An office', 'calls from a landline', '+97231234567', {
    outreach: 'skipped / not_mobile',
    messages: 0,
  })
  const withheld = missed(
    'Somebody',
    'calls and withholds the number',
    '+972',
    { outreach: 'skipped / withheld_number', messages: 0 },
    { caller: 'anonymous' },
  )
  const omer = missed('Omer', 'called yesterday; the record comes today', '+972532345674', {
    outreach: 'skipped / too_late',
    messages: 0,
  })
  omer.record = push({ caller: '0532345674' }, DAY)
  const tamar = missed('Tamar', 'is missed, but has no WhatsApp', '+972532345675', {
    outreach: 'failed / refused',
    messages: 0,
  })
  const gil = missed(
    'Gil',
    'is missed; WhatsApp takes the message and the answer is lost',
    '+972532345676',
    { outreach: 'unknown / no_answer' },
  )
  const noa = answeredPush({ caller: '0532345677' })
  const root = answeredPush({ caller: '0532345678' })
  const outgoing = callBackPush({ target: '0532345679' })
  return [
    dana,
    again,
    { ...avi, records: [avi.record, avi.record, avi.record] },
    {
      ...ruth,
      records: [
        new URLSearchParams(
          Object.fromEntries(
            Object.entries(ruth.record).map(([name, value]) => [name, String(value)]),
          ),
        ).toString(),
      ],
    },
    { ...yossi, records: [yossi.record, answeredPush({ caller: '972532345671' }, 5)] },
    { ...maya, records: [maya.record, callBackPush({ target: '972532345672' }, 5)] },
    {
      ...lea,
      records: [
        lea.record,
        answeredPush({ caller: '0532345673', ivruniqueid: lea.record.ivruniqueid }, 20),
      ],
    },
    office,
    { ...withheld, phone: null },
    { ...omer, records: [omer.record], callId: omer.record.ivruniqueid },
    { ...tamar, whatsApp: { to: '+972532345675', outcome: { kind: 'error', code: 131026 } } },
    { ...gil, whatsApp: { to: '+972532345676', outcome: { kind: 'reset', accept: true } } },
    {
      who: 'Hila',
      what: 'calls, and Noa answers',
      phone: '+972532345677',
      records: [noa],
      callId: noa.ivruniqueid,
      ends: { verdict: 'answered', messages: 0 },
    },
    {
      who: 'Eli',
      what: 'is handed on to a colleague who is out; that record comes before the call itself',
      phone: '+972532345678',
      records: [
        push({ caller: '0532345678', type: 'XferCDR', OriginalIvrUniqueID: root.ivruniqueid }),
        root,
      ],
      callId: root.ivruniqueid,
      ends: { verdict: 'answered', messages: 0 },
    },
    {
      who: 'Noa',
      what: 'calls a customer',
      phone: '+972532345679',
      records: [outgoing],
      callId: outgoing.ivruniqueid,
      ends: { verdict: 'not_inbound', messages: 0 },
    },
    {
      who: 'The exchange',
      what: 'sends a record without a number dialled',
      phone: null,
      records: [{ ivruniqueid: 'x', status: 'NOANSWER', caller: '0501112222' }],
      callId: null,
      ends: { answer: 400, messages: 0 },
    },
  ]
}
