/** The calls of the demo: a morning at a hairdresser's, and how each call must end. */
import type { ScriptInput } from '../fake_whatsapp/scripts.ts'
import { labelOf } from '../../app/whatsapp/own_templates.ts'
import { popupCall, type PopupFields } from '../fake_voicenter/popup.ts'
import { answeredPush, callBackPush, type Push, push } from './cdr.ts'
import { DELAYS } from './environment.ts'

export type Result = {
  /** The HTTP status of the answer to the last CDR; undefined if it was 200. */
  answer?: number
  verdict?: string
  /** "state / reason" of the outreach; undefined if the call is no missed call. */
  outreach?: string
  /** The state of the lead, where it matters. */
  lead?: string
  /** The caller asked for a call, and the request is open. */
  asked?: boolean
  messages: number
}

export type Scenario = {
  who: string
  /** What happens. The demo prints it after the name. */
  what: string
  /** The caller's number in E.164; null if it is withheld. */
  phone: string | null
  /** What Voicenter posts, one after the other. Text is posted as a form. */
  cdrs: (Record<string, unknown> | string)[]
  /** The id of the call, or of its first leg. */
  callId: string | null
  /** The call comes after the caller has received this number of messages. */
  afterMessages?: number
  whatsApp?: ScriptInput
  reply?: string
  /** The caller taps this button of the first message. */
  tap?: string
  /** What Voicenter's Pop-Up Screen reports after the call, and how many seconds later. */
  onTheLine?: { afterSeconds: number; event: PopupFields }[]
  /** The call comes by WhatsApp and is not answered. */
  onWhatsApp?: boolean
  expected: Result
}

const CALL_ME_BACK = labelOf('he', 'callback')
const DAY = 24 * 60 * 60
const local = (phone: string): string => phone.replace('+972', '0')

/** A missed call. By default the caller receives one message. */
const missed = (
  who: string,
  what: string,
  phone: string,
  {
    expected = {},
    cdr = push({ caller: local(phone) }),
    ...more
  }: Partial<Omit<Scenario, 'expected'>> & { expected?: Partial<Result>; cdr?: Push } = {},
): Scenario => ({
  who,
  what,
  phone,
  cdrs: [cdr],
  callId: cdr.ivruniqueid,
  ...more,
  expected: { verdict: 'missed', outreach: 'sent / accepted', messages: 1, ...expected },
})

const skipped = (reason: string, messages = 0) => ({ outreach: `skipped / ${reason}`, messages })
const reached = { outreach: 'cancelled / reached_by_phone', messages: 0 }

const asForm = (cdr: Push): string =>
  new URLSearchParams(
    Object.entries(cdr).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString()

/** New scenarios, with call ids and times of this moment. */
export const newScenarios = (): Scenario[] => [...conversations(), ...noMessage(), ...notMissed()]

const conversations = (): Scenario[] => {
  const abandoned = push({ caller: '0523456789', type: 'Queue', status: 'ABANDONE' })
  const busy = push({ caller: '972542345678', status: 'BUSY' })
  const lost = { kind: 'reset', accept: true } as const
  return [
    missed('Dana', 'calls and is not answered; will reply', '+972502345678', {
      reply: 'היי, אשמח שתחזרו אליי',
      expected: { lead: 'replied' },
    }),
    missed('Dana', 'calls again a moment later', '+972502345678', {
      expected: skipped('already_contacted', 1),
    }),
    missed('Avi', 'hangs up in the queue; the CDR comes three times; no reply', '+972523456789', {
      cdr: abandoned,
      cdrs: [abandoned, abandoned, abandoned],
      expected: { lead: 'unresponsive', messages: 3 },
    }),
    missed('Rina', `calls and is not answered; will tap "${CALL_ME_BACK}"`, '+972532345682', {
      tap: CALL_ME_BACK,
      expected: { lead: 'replied', asked: true },
    }),
    missed('Ruth', 'calls a busy line; the CDR is a form; will write "remove"', '+972542345678', {
      cdr: busy,
      cdrs: [asForm(busy)],
      reply: 'הסר',
      expected: { lead: 'opted_out', messages: 2 },
    }),
    missed('Ruth', 'calls again after the opt-out was confirmed', '+972542345678', {
      afterMessages: 2,
      expected: { ...skipped('opted_out', 2), lead: 'opted_out' },
    }),
    missed('Nir', "is missed; WhatsApp's answer is lost, its status arrives", '+972532345670', {
      whatsApp: { to: '+972532345670', outcome: lost },
      reply: '👍',
      expected: { lead: 'replied' },
    }),
    {
      who: 'Adi',
      what: 'calls on WhatsApp and is not answered',
      phone: '+972532345680',
      cdrs: [],
      callId: 'wacid.demo',
      onWhatsApp: true,
      expected: {
        verdict: 'missed',
        outreach: 'sent / accepted',
        lead: 'unresponsive',
        messages: 3,
      },
    },
    missed('Gil', "is missed; WhatsApp's answer is lost, no status arrives", '+972532345676', {
      whatsApp: { to: '+972532345676', outcome: lost, statuses: [] },
      expected: { outreach: 'unknown / no_answer' },
    }),
  ]
}

const noMessage = (): Scenario[] => {
  const { ringing, talking, hangup } = popupCall('972532345681')
  const yossi = push({ caller: '0532345671' })
  const maya = push({ caller: '0532345672' })
  const lea = push({ caller: '0532345673' })
  const secondLeg = answeredPush({ caller: '0532345673', ivruniqueid: lea.ivruniqueid }, 20)
  return [
    missed('Yossi', 'is missed, calls again and is answered by Noa', '+972532345671', {
      cdr: yossi,
      cdrs: [yossi, answeredPush({ caller: '972532345671' }, 5)],
      expected: reached,
    }),
    missed('Maya', 'is missed; the business calls back, and Maya answers', '+972532345672', {
      cdr: maya,
      cdrs: [maya, callBackPush({ target: '972532345672' }, 5)],
      expected: reached,
    }),
    missed('Lea', 'is missed by one phone and answered at another: two CDRs', '+972532345673', {
      cdr: lea,
      cdrs: [lea, secondLeg],
      expected: { verdict: 'answered', ...reached },
    }),
    missed(
      'Shira',
      'is missed, calls again, and is talking with Noa when the message falls due',
      '+972532345681',
      {
        onTheLine: [
          { afterSeconds: 0.5, event: ringing },
          { afterSeconds: 1, event: talking },
          { afterSeconds: DELAYS.outreach + 2, event: hangup },
        ],
        expected: reached,
      },
    ),
    missed('An office', 'calls from a landline', '+97231234567', {
      expected: skipped('not_mobile'),
    }),
    missed('A caller', 'withholds the number', '', {
      phone: null,
      cdr: push({ caller: 'anonymous' }),
      expected: skipped('withheld_number'),
    }),
    missed('Omer', 'called yesterday; the CDR comes today', '+972532345674', {
      cdr: push({ caller: '0532345674' }, DAY),
      expected: skipped('too_late'),
    }),
    missed('Tamar', 'is missed, but has no WhatsApp', '+972532345675', {
      whatsApp: { to: '+972532345675', outcome: { kind: 'error', code: 131026 } },
      expected: { outreach: 'failed / refused', messages: 0 },
    }),
  ]
}

const notMissed = (): Scenario[] => {
  const call = (who: string, what: string, phone: string, verdict: string, cdrs: Push[]) => ({
    who,
    what,
    phone,
    cdrs,
    callId: cdrs.at(-1)?.ivruniqueid ?? null,
    expected: { verdict, messages: 0 },
  })
  const eli = { caller: '0532345678' }
  const root = answeredPush(eli)
  const transfer = push({ ...eli, type: 'XferCDR', OriginalIvrUniqueID: root.ivruniqueid })
  return [
    call('Hila', 'calls, and Noa answers', '+972532345677', 'answered', [
      answeredPush({ caller: '0532345677' }),
    ]),
    call(
      'Eli',
      'is transferred to a colleague who does not answer; the CDR of the transfer comes first',
      '+972532345678',
      'answered',
      [transfer, root],
    ),
    call('Noa', 'calls a customer', '+972532345679', 'not_inbound', [
      callBackPush({ target: '0532345679' }),
    ]),
    {
      who: 'Voicenter',
      what: 'sends a CDR without the dialled number',
      phone: null,
      cdrs: [{ ivruniqueid: 'x', status: 'NOANSWER', caller: '0501112222' }],
      callId: null,
      expected: { answer: 400, messages: 0 },
    },
  ]
}
