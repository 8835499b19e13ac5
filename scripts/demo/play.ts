/** The play: a morning at a hairdresser's, call by call, and how each must end. */
import type { ScriptInput } from '../fake_whatsapp/scripts.ts'
import { answeredPush, callBackPush, type Push, push } from './cdr.ts'

/** How a call ended. */
export type Ending = {
  /** HTTP status of the answer to its last record; absent = 200 and not worth a word. */
  answer?: number
  verdict?: string
  /** "state / reason" of the outreach; absent = no missed call was recorded. */
  outreach?: string
  /** The caller's lead, where what she does afterwards matters. */
  lead?: string
  /** Messages on her phone. */
  messages: number
}

export type Scene = {
  who: string
  /** What happens, in words. */
  what: string
  /** The person's own number, E.164; null when she withholds it. */
  phone: string | null
  /** What the exchange posts, one after the other; text goes as it is, as a form. */
  records: (Push | Record<string, unknown> | string)[]
  /** The call that the end is about: its root's id. */
  callId: string | null
  /** Not before so many messages have come to her phone. */
  after?: number
  /** What WhatsApp is made to do with the message. */
  whatsApp?: ScriptInput
  /** What she writes when the first message comes. */
  writes?: string
  ends: Ending
}

const DAY = 24 * 60 * 60

/** A customer's call that nobody answered; by default she gets one message. */
const missed = (
  who: string,
  what: string,
  phone: string,
  {
    ends = {},
    record = push({ caller: phone.replace('+972', '0') }),
    ...more
  }: Partial<Omit<Scene, 'ends'>> & { ends?: Partial<Ending>; record?: Push } = {},
): Scene => ({
  who,
  what,
  phone,
  records: [record],
  callId: record.ivruniqueid,
  ...more,
  ends: { verdict: 'missed', outreach: 'sent / accepted', messages: 1, ...ends },
})

const asForm = (record: Push): string =>
  new URLSearchParams(
    Object.fromEntries(Object.entries(record).map(([name, value]) => [name, String(value)])),
  ).toString()

const CANCELLED = { outreach: 'cancelled / reached_by_phone', messages: 0 }
const skipped = (reason: string, messages = 0) => ({ outreach: `skipped / ${reason}`, messages })

/** A fresh play: call ids and times of this very moment. */
export const newPlay = (): Scene[] => [
  ...conversations(),
  ...callsThatEndBefore(),
  ...callsThatWereNotMissed(),
]

/** What follows from a message. */
const conversations = (): Scene[] => {
  const queue = push({ caller: '0523456789', type: 'Queue', status: 'ABANDONE' })
  const busy = push({ caller: '972542345678', status: 'BUSY' })
  return [
    missed('Dana', 'calls; it rings, and nobody answers. She will reply', '+972502345678', {
      writes: 'היי, אשמח שתחזרו אליי',
      ends: { lead: 'replied' },
    }),
    missed('Dana', 'calls again a moment later', '+972502345678', {
      ends: skipped('already_contacted', 1),
    }),
    missed(
      'Avi',
      'hangs up in the queue; the record comes three times. He will stay silent',
      '+972523456789',
      {
        record: queue,
        records: [queue, queue, queue],
        ends: { lead: 'unresponsive', messages: 3 },
      },
    ),
    missed(
      'Ruth',
      'calls; the line is busy (the record comes as a form). She will write "remove"',
      '+972542345678',
      {
        record: busy,
        records: [asForm(busy)],
        writes: 'הסר',
        ends: { lead: 'opted_out', messages: 2 },
      },
    ),
    missed('Ruth', 'calls again, after her removal was confirmed', '+972542345678', {
      after: 2,
      ends: { ...skipped('opted_out', 2), lead: 'opted_out' },
    }),
    missed(
      'Nir',
      "is missed; WhatsApp's answer is lost, its report settles it. He will tap a thumb",
      '+972532345670',
      {
        whatsApp: { to: '+972532345670', outcome: { kind: 'reset', accept: true } },
        writes: '👍',
        ends: { lead: 'replied' },
      },
    ),
  ]
}

/** What keeps a message from going out, or from being known. */
const callsThatEndBefore = (): Scene[] => {
  const yossi = push({ caller: '0532345671' })
  const maya = push({ caller: '0532345672' })
  const lea = push({ caller: '0532345673' })
  const answered = answeredPush({ caller: '0532345673', ivruniqueid: lea.ivruniqueid }, 20)
  return [
    missed('Yossi', 'is missed, calls again and is answered by Noa', '+972532345671', {
      record: yossi,
      records: [yossi, answeredPush({ caller: '972532345671' }, 5)],
      ends: CANCELLED,
    }),
    missed('Maya', 'is missed; the business calls her back and she answers', '+972532345672', {
      record: maya,
      records: [maya, callBackPush({ target: '972532345672' }, 5)],
      ends: CANCELLED,
    }),
    missed(
      'Lea',
      'is missed by one phone and answered at another: two records of one call',
      '+972532345673',
      {
        record: lea,
        records: [lea, answered],
        ends: { verdict: 'answered', ...CANCELLED },
      },
    ),
    missed('An office', 'calls from a landline', '+97231234567', { ends: skipped('not_mobile') }),
    missed('Somebody', 'calls and withholds the number', '+972', {
      phone: null,
      record: push({ caller: 'anonymous' }),
      ends: skipped('withheld_number'),
    }),
    missed('Omer', 'called yesterday; the record comes today', '+972532345674', {
      record: push({ caller: '0532345674' }, DAY),
      ends: skipped('too_late'),
    }),
    missed('Tamar', 'is missed, but has no WhatsApp', '+972532345675', {
      whatsApp: { to: '+972532345675', outcome: { kind: 'error', code: 131026 } },
      ends: { outreach: 'failed / refused', messages: 0 },
    }),
    missed('Gil', "is missed; WhatsApp's answer is lost, and no report comes", '+972532345676', {
      whatsApp: { to: '+972532345676', outcome: { kind: 'reset', accept: true }, statuses: [] },
      ends: { outreach: 'unknown / no_answer' },
    }),
  ]
}

const callsThatWereNotMissed = (): Scene[] => {
  const hila = answeredPush({ caller: '0532345677' })
  const root = answeredPush({ caller: '0532345678' })
  const handedOn = push({
    caller: '0532345678',
    type: 'XferCDR',
    OriginalIvrUniqueID: root.ivruniqueid,
  })
  const outgoing = callBackPush({ target: '0532345679' })
  const answered = { verdict: 'answered', messages: 0 }
  return [
    {
      who: 'Hila',
      what: 'calls, and Noa answers',
      phone: '+972532345677',
      records: [hila],
      callId: hila.ivruniqueid,
      ends: answered,
    },
    {
      who: 'Eli',
      what: 'is handed on to a colleague who is out; that record comes before the call itself',
      phone: '+972532345678',
      records: [handedOn, root],
      callId: root.ivruniqueid,
      ends: answered,
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
