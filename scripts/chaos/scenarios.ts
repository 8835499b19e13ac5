/** Tables from which the seed draws: what callers do, which hostile bodies come, and how the Graph API fails. */
import { DEFAULT_TEMPLATES } from '../../app/whatsapp/own_templates.ts'
import { popupCall, type PopupFields } from '../fake_voicenter/popup.ts'
import { answeredPush, callBackPush, newCallId, type Push, push } from '../demo/cdr.ts'
import type { ScriptInput } from '../fake_whatsapp/scripts.ts'
import type { Tenant } from './environment.ts'
import type { Random } from './random.ts'

/** One request body, and what must be stored of it. */
export type Post = {
  what: string
  tenant: Tenant
  token?: string
  body: Buffer
  contentType: string
  /** The body, or the elements of an array: stored in `raw_cdrs`, or in `rejected_deliveries`. */
  parts: { bytes: Buffer; kept: 'raw' | 'rejected' }[]
  /** After one of these answers the sender does not send the body again. */
  answers: number[]
  /** How many times the same body is posted at the same moment. */
  times: number
  /** Since the answer to the post before. */
  afterMs: number
}
/** An event of the Pop-Up Screen, or a call on WhatsApp that is not answered. */
export type LiveCall = { afterMs: number } & ({ event: PopupFields } | { wacid: string })
export type Reply = {
  text: string
  afterMessage: number
  delayMs: number
  /** How many times the tenant then writes by hand. */
  answers: number
}
export type Scenario = {
  tenant: Tenant
  /** E.164; null when no person can be written to. */
  phone: string | null
  posts: Post[]
  /** Calls that Voicenter or WhatsApp reports while the posts are made. */
  live: LiveCall[]
  reply: Reply | null
  graph: ScriptInput[]
}

const SECOND = 1000

type Cdr = Record<string, unknown>
type Call = {
  random: Random
  tenant: Tenant
  other: Tenant
  /** The caller's number as an incoming call shows it, and as an outgoing call shows it. */
  caller: string
  target: string
  newId: () => string
  /** The run ends soon: nothing that takes minutes begins. */
  isLate: boolean
}
type Made = Partial<Pick<Scenario, 'reply' | 'live'>> & {
  cdrs: Cdr[]
  /** Who receives each of them, if not all are for `tenant`. */
  tenants?: Tenant[]
  gapMs?: number
  silent?: boolean
}

const missed = ({ random, caller, tenant, newId }: Call): Push =>
  push({
    caller,
    did: tenant.line,
    ivruniqueid: newId(),
    status: random.pick(['NOANSWER', 'BUSY', 'ABANDONE', 'CANCEL']),
    type: random.pick(['Incoming Call', 'Queue']),
  })
const answered = (call: Call, secondsAgo = 5, id = call.newId()): Push =>
  answeredPush({ caller: call.caller, did: call.tenant.line, ivruniqueid: id }, secondsAgo)
const calledBack = ({ target, tenant, newId }: Call): Push =>
  callBackPush({ target, caller: tenant.line, ivruniqueid: newId() }, 5)

/** In this order, with up to `mostMs` between them. */
const inSequence = ({ random }: Call, mostMs: number, ...cdrs: Cdr[]): Made => {
  return { cdrs, gapMs: random.int(0, mostMs) }
}
const replies = (call: Call, text: string, answers = 0): Made => {
  const afterMessage = call.random.pick([1, 1, 1, 2])
  // With a short delay the reply arrives while the program still records that the message was accepted.
  const delayMs = call.random.pick([0, 20, 100, 500, 2000])
  return { cdrs: [missed(call)], reply: { text, afterMessage, delayMs, answers } }
}
const transfer = (call: Call): Made => {
  const root = call.random.chance(0.5) ? answered(call, 30) : missed(call)
  const fields = { type: 'XferCDR', OriginalIvrUniqueID: root.ivruniqueid }
  const { caller, tenant, newId } = call
  const leg = push({ caller, did: tenant.line, ivruniqueid: newId(), ...fields }, 20)
  // A leg without its root is looked at again minutes later.
  const isLegFirst = call.random.chance(0.6) && !call.isLate
  return inSequence(call, 2 * SECOND, ...(isLegFirst ? [leg, root] : [root, leg]))
}
const twoPhones = (call: Call): Made => {
  const root = missed(call)
  return inSequence(call, 4 * SECOND, root, answered(call, 25, root.ivruniqueid))
}
const twoTenants = (call: Call): Made => {
  const cdr = missed(call)
  return { cdrs: [cdr, { ...cdr, did: call.other.line }], tenants: [call.tenant, call.other] }
}
const unreachable = (call: Call): Made => {
  const caller = call.random.pick(['anonymous', '031234567', '', '0'])
  return { cdrs: [missed({ ...call, caller })], silent: true }
}
const notIncoming = (call: Call): Made => {
  const internal = { ...missed(call), type: 'Extension Outgoing', direction: 'internal' }
  return { cdrs: [call.random.chance(0.5) ? calledBack(call) : internal], silent: true }
}

/** A person whose call was missed is on the line again. The events come twice, and in any order of the first two. */
const onTheLine = (call: Call, isAnswered: boolean): Made => {
  const { random, tenant, target, newId } = call
  const { ringing, talking, hangup, unanswered } = popupCall(target, {
    did: tenant.line,
    ivrid: newId(),
  })
  const first = isAnswered ? [ringing, talking] : [ringing]
  const last = isAnswered ? hangup : unanswered
  const events = random.chance(0.3) ? first.toReversed() : first
  const live = [...events, ...(random.chance(0.3) ? events : []), last].map((event, n, all) => ({
    event,
    afterMs: n === all.length - 1 ? random.int(0, 5 * SECOND) : random.int(0, 2 * SECOND),
  }))
  const confirms = isAnswered && random.chance(0.7) ? [answered(call)] : []
  return { cdrs: [missed(call), ...confirms], gapMs: 9 * SECOND, live }
}
const onWhatsApp = ({ newId }: Call): Made => ({
  cdrs: [],
  live: [{ afterMs: 0, wacid: `wacid.${newId()}` }],
})

const ANSWERED_BY_HAND = 'missed, replies, answered by hand'
const TWO_TENANTS = 'one call id, two tenants'
const HOSTILE = 'hostile'

/** How often a call follows this scenario, compared with the others. */
const KINDS: [weight: number, kind: string, make: (call: Call) => Made][] = [
  [26, 'missed', call => ({ cdrs: [missed(call)] })],
  [10, 'missed, replies', call => replies(call, 'אשמח שתחזרו אליי')],
  [5, ANSWERED_BY_HAND, call => replies(call, 'מתי אפשר לבוא?', call.random.int(1, 3))],
  [5, 'missed, opts out', call => replies(call, 'הסר')],
  [8, 'missed, then answered', call => inSequence(call, 4 * SECOND, missed(call), answered(call))],
  [
    6,
    'missed, then called back',
    call => inSequence(call, 6 * SECOND, missed(call), calledBack(call)),
  ],
  [
    5,
    'answered; the missed one comes later',
    c => inSequence(c, 2 * SECOND, answered(c), missed(c)),
  ],
  [10, 'answered', call => ({ cdrs: [answered(call, 30)] })],
  [6, 'transfer, legs in any order', transfer],
  [4, 'missed at one phone, answered at another', twoPhones],
  [4, 'missed three times', c => ({ cdrs: [missed(c), missed(c), missed(c)], gapMs: 200 })],
  [3, 'landline or withheld number', unreachable],
  [4, TWO_TENANTS, twoTenants],
  [3, 'outgoing or internal', notIncoming],
  [5, 'missed, then on the line and answered', call => onTheLine(call, true)],
  [2, 'missed, then on the line and not answered', call => onTheLine(call, false)],
  [4, 'missed on WhatsApp', onWhatsApp],
  [6, HOSTILE, () => ({ cdrs: [], silent: true })],
]
/** The scenarios that lead to each kind of message. */
const LEADS_TO: Record<string, string[]> = {
  lead_outreach: ['missed'],
  lead_reminder: ['missed'],
  popup: ['missed, then on the line and answered'],
  live_call: ['missed, then on the line and answered'],
  owner_notice: ['missed, replies', 'missed three times'],
  opt_out_confirmation: ['missed, opts out'],
  manual: [ANSWERED_BY_HAND],
}

/** Every fifth CDR comes again, mostly at the same moment. */
const REPEATED = 0.2

/** @returns a function that makes the next scenario, without end */
export const scenarioMaker = (tenants: Tenant[], random: Random) => {
  let callers = 0
  // A CDR with an unbound token belongs to the tenant of its line: only a bound token gives one call two tenants.
  const bound = tenants.filter(tenant => tenant.bound)

  /**
   * @param wanted failpoints that scenarios should reach
   * @param isLate the run ends soon
   */
  return (wanted: string[], isLate: boolean): Scenario => {
    const useful = wanted.flatMap(point => LEADS_TO[point.split(':')[0] ?? ''] ?? [])
    const favoured = useful.length > 0 && random.chance(0.7) ? random.pick(useful) : null
    const [, kind, make] =
      KINDS.find(([, name]) => name === favoured) ??
      random.weighted(KINDS.map(entry => [entry[0], entry]))
    const tenant = random.pick(kind === TWO_TENANTS ? bound : tenants)
    const subscriber = String(20_000_000 + ++callers)
    const phone = `+9725${subscriber}`
    const call: Call = {
      random,
      tenant,
      other: random.pick(bound.filter(one => one !== tenant)),
      caller: random.pick([`05${subscriber}`, `9725${subscriber}`, phone]),
      target: `9725${subscriber}`,
      newId: () => newCallId(new Date()).slice(0, 14) + random.next().toString(16).slice(2, 14),
      isLate,
    }
    const {
      cdrs,
      tenants: receivers = [],
      gapMs = 0,
      live = [],
      reply = null,
      silent = false,
    } = make(call)
    const posts =
      kind === HOSTILE
        ? [hostilePost(tenant, call.newId(), random)]
        : cdrs.flatMap((cdr, n) => {
            const afterMs = n === 0 ? 0 : gapMs
            const post = { ...cdrPost(kind, receivers[n] ?? tenant, cdr, random), afterMs }
            return random.chance(REPEATED) ? repeated(post, random) : [post]
          })
    const graph = silent ? [] : graphFaults(phone, random, isLate)
    return { tenant, phone: silent ? null : phone, posts, live, reply, graph }
  }
}

const repeated = (post: Post, random: Random): Post[] =>
  random.chance(0.7)
    ? [{ ...post, times: random.pick([2, 2, 3]) }]
    : [post, { ...post, afterMs: random.int(0, 3 * SECOND) }]

export const jsonPost = (what: string, tenant: Tenant, body: string | Buffer): Post => ({
  what,
  tenant,
  body: Buffer.from(body),
  contentType: 'application/json',
  parts: [kept('raw', body)],
  answers: [200],
  times: 1,
  afterMs: 0,
})
const kept = (kept: 'raw' | 'rejected', body: string | Buffer) => ({
  bytes: Buffer.from(body),
  kept,
})

const cdrPost = (what: string, tenant: Tenant, cdr: Cdr, random: Random): Post => {
  const post = jsonPost(what, tenant, JSON.stringify(cdr))
  if (random.chance(0.1)) return { ...post, body: Buffer.from(`[${JSON.stringify(cdr)}]`) }
  if (random.chance(0.8)) return post
  const pairs = Object.entries(cdr).map(([name, value]): [string, string] => [name, String(value)])
  const form = new URLSearchParams(pairs).toString()
  return { ...jsonPost(what, tenant, form), contentType: 'application/x-www-form-urlencoded' }
}

type Hostile = Partial<Post> & { body: Buffer }
const asBytes = (body: unknown): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
/** A CDR all the same. */
const taken = (body: unknown): Hostile => ({ body: asBytes(body) })
const refused = (body: unknown): Hostile => ({
  body: asBytes(body),
  answers: [400],
  parts: [kept('rejected', asBytes(body))],
})

/** `cdr` is a valid CDR of a withheld number, which causes no message. */
const HOSTILE_BODIES: Record<string, (id: string, cdr: Push) => Hostile> = {
  'cut off': id => refused(`{"ivruniqueid":"${id}","status":"NOANSWER"`),
  'no number dialled': id => refused({ ivruniqueid: id, status: 'NOANSWER', caller: '0501112222' }),
  'NUL in the call id': (id, cdr) => refused({ ...cdr, ivruniqueid: `${id}\0` }),
  'call id too long': (id, cdr) => refused({ ...cdr, ivruniqueid: id.padEnd(129, 'x') }),
  'empty array': () => refused('[]'),
  'empty body': () => refused(''),
  'nested 10,000 deep': id => refused(`${'{"a":'.repeat(10_000)}"${id}"${'}'.repeat(10_000)}`),
  'not UTF-8': id => refused(Buffer.concat([Buffer.from(id), Buffer.from([0xff, 0xfe, 0xc3])])),
  HTML: id => refused(`<?xml version="1.0"?><html>${id}</html>`),
  'an invalid element in an array': (id, cdr) => {
    const [valid, invalid] = [JSON.stringify(cdr), JSON.stringify({ nothing: id })]
    const parts = [kept('raw', valid), kept('rejected', invalid)]
    return { ...refused(`[${valid},${invalid}]`), parts }
  },
  'half a surrogate pair': (_, cdr) => taken({ ...cdr, representative_name: '\ud800 \0' }),
  'a field named __proto__': (_, cdr) =>
    taken(JSON.stringify(cdr).replace('{', '{"__proto__":{"admin":true},"status":"ANSWER",')),
  'an invalid time, and SQL': (_, cdr) =>
    taken({ ...cdr, time: 'infinity', queuename: "'; drop table raw_cdrs; --" }),
  // An External Layer that points here by mistake: answered 200 so that the caller's IVR continues.
  'an IVR request': id => ({
    ...refused({ METHOD: 'IVR_LAYER_INPUT', DATA: { IVR_UNIQUE_ID: id } }),
    answers: [200],
  }),
  // 429 after a hundred of them a minute from one address.
  'wrong token': (_, cdr) => ({ ...taken(cdr), answers: [401, 429], parts: [], token: 'a guess' }),
}

const hostilePost = (tenant: Tenant, id: string, random: Random): Post => {
  const [what, make] = random.pick(Object.entries(HOSTILE_BODIES))
  const hostile = make(id, push({ caller: 'anonymous', did: tenant.line, ivruniqueid: id }))
  return { ...jsonPost(`hostile: ${what}`, tenant, hostile.body), ...hostile }
}

type GraphFault = Pick<ScriptInput, 'outcome' | 'statuses'>

/** The share of messages that meet a fault. Of the requests it is about a fifth, because most retries succeed. */
const GRAPH_FAULT_SHARE = 0.42

/** WhatsApp accepts the message, and its answer is lost. A later status settles it; with `statuses: []` none comes. */
const lost = (outcome: NonNullable<ScriptInput['outcome']>): [number, GraphFault][] => [
  [2, { outcome }],
  [1, { outcome, statuses: [] }],
]
const GRAPH_FAULTS: [weight: number, fault: GraphFault][] = [
  // "Not accepted, try again": throughput of the number, or of the pair; Meta unavailable (retried after 30 s).
  [10, { outcome: { kind: 'error', code: 130429 } }],
  [8, { outcome: { kind: 'error', code: 131056 } }],
  [2, { outcome: { kind: 'error', code: 131016 } }],
  [5, { outcome: { kind: 'error', code: 131026 } }],
  [2, { outcome: { kind: 'error', code: 130472 } }],
  [1, { outcome: { kind: 'error', code: 131050 } }],
  ...lost({ kind: 'reset', accept: true }),
  ...lost({ kind: 'cut' }),
  ...lost({ kind: 'garbled' }),
  ...lost({ kind: 'no_id' }),
  ...lost({ kind: 'http', status: 502, accept: true }),
  // Not accepted, and the program cannot know.
  [2, { outcome: { kind: 'http', status: 503 } }],
  [2, { outcome: { kind: 'reset' } }],
  [1, { outcome: { kind: 'hang' } }],
  [1, { outcome: { kind: 'hang', accept: true } }],
  // Slow, and a status before the answer.
  [4, { outcome: { kind: 'accept', delayMs: 2000 } }],
  [4, { statuses: [{ status: 'sent', beforeResponse: true }, 'delivered', 'read'] }],
  // Accepted, and failed afterwards.
  [3, { statuses: [{ status: 'failed', code: 131026 }] }],
  // Accepted, and answered with a code that says "not accepted, try again": Meta's answer is false.
  [1, { outcome: { kind: 'error', code: 131056, accept: true }, statuses: [] }],
]
/** The message is sent half a minute later, or stays unknown, and the next reminder waits a minute or more for a status. */
const isSlow = ({ outcome, statuses }: GraphFault): boolean =>
  statuses?.length === 0 ||
  outcome?.kind === 'hang' ||
  (outcome?.kind === 'error' && outcome.code === 131016) ||
  ((outcome?.kind === 'http' || outcome?.kind === 'reset') && outcome.accept !== true)

const graphFaults = (to: string, random: Random, isLate: boolean): ScriptInput[] =>
  (['initial', 'reminder_1', 'reminder_2'] as const).flatMap(kind => {
    if (!random.chance(GRAPH_FAULT_SHARE)) return []
    const fault = random.weighted(GRAPH_FAULTS)
    if (isLate && isSlow(fault)) return []
    return [{ to, template: DEFAULT_TEMPLATES[kind].name, ...fault }]
  })
