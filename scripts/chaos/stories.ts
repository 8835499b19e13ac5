/** What exchanges post and customers do: made up one after the other from the seed, each complete in itself. */
import { answeredPush, callBackPush, newCallId, type Push, push } from '../demo/cdr.ts'
import type { ScriptInput } from '../fake_whatsapp/scripts.ts'
import type { Business } from './businesses.ts'
import { graphFaults } from './graph_faults.ts'
import { hostilePost } from './hostile_post.ts'
import type { Random } from './random.ts'

/** One body, and what must be kept of it. */
export type Post = {
  /** For whoever has to look into it. */
  what: string
  business: Business
  /** Instead of the business's own. */
  token?: string
  body: Buffer
  contentType: string
  /** The whole, or the elements of an array: into `raw_cdrs`, or into `rejected_deliveries`. */
  parts: { bytes: Buffer; kept: 'raw' | 'rejected' }[]
  /** The final answers that fit; after any other one the sender comes again. */
  fits: number[]
  /** How often the very same is posted in the same moment. */
  atOnce: number
  /** After the answer to the post before. */
  afterMs: number
}

/** What a customer writes, and when. */
export type Writes = { text: string; afterMessage: number; delayMs: number }

export type Story = {
  kind: string
  business: Business
  /** E.164; null when nobody is behind it. */
  phone: string | null
  posts: Post[]
  writes: Writes | null
  /** What the Graph API does to messages to her. */
  graph: ScriptInput[]
}

type Call = Record<string, unknown>
type Made = {
  records: (Call | { at: Business; record: Call })[]
  writes?: Writes
  apart?: number
  silent?: boolean
}
type Telling = {
  random: Random
  caller: string
  target: string
  business: Business
  other: Business
  id: () => string
}

const SECOND = 1000

/** Of a hundred calls, so many go like this. */
const KINDS: [weight: number, kind: string, tell: (t: Telling) => Made][] = [
  [26, 'missed', t => ({ records: [missed(t)] })],
  [
    10,
    'missed, replies',
    t => ({ records: [missed(t)], writes: words(t.random, 'אשמח שתחזרו אליי') }),
  ],
  [5, 'missed, opts out', t => ({ records: [missed(t)], writes: words(t.random, 'הסר') })],
  [
    8,
    'missed, then answered',
    t => ({ records: [missed(t), answered(t, {}, 5)], apart: t.random.int(0, 4 * SECOND) }),
  ],
  [
    6,
    'missed, then called back',
    t => ({ records: [missed(t), calledBack(t)], apart: t.random.int(0, 6 * SECOND) }),
  ],
  [
    5,
    'answered, then the missed one comes',
    t => ({ records: [answered(t, {}, 5), missed(t)], apart: t.random.int(0, 2 * SECOND) }),
  ],
  [10, 'answered', t => ({ records: [answered(t)] })],
  [6, 'transfer, legs in any order', legs],
  [
    4,
    'one call, missed at one phone and answered at another',
    t => {
      const root = missed(t)
      return {
        records: [root, answered(t, { ivruniqueid: root.ivruniqueid }, 25)],
        apart: t.random.int(0, 4 * SECOND),
      }
    },
  ],
  [4, 'missed three times', t => ({ records: [missed(t), missed(t), missed(t)], apart: 200 })],
  [
    3,
    'landline or withheld',
    t => ({
      records: [missed({ ...t, caller: t.random.pick(['anonymous', '031234567', '', '0']) })],
      silent: true,
    }),
  ],
  [
    4,
    'one call id, two businesses',
    t => {
      const record = missed(t)
      return { records: [record, { at: t.other, record: { ...record, did: t.other.line } }] }
    },
  ],
  [
    3,
    'outgoing or internal',
    t => ({
      records: [
        t.random.chance(0.5)
          ? calledBack(t)
          : { ...missed(t), type: 'Extension Outgoing', direction: 'internal' },
      ],
      silent: true,
    }),
  ],
  [6, 'hostile', () => ({ records: [] })],
]

const missed = ({ random, caller, business, id }: Telling): Push =>
  push(
    {
      caller,
      did: business.line,
      ivruniqueid: id(),
      status: random.pick(['NOANSWER', 'BUSY', 'ABANDONE', 'CANCEL']),
      type: random.pick(['Incoming Call', 'Queue']),
    },
    30,
  )
const answered = ({ caller, business, id }: Telling, fields: Call = {}, secondsAgo = 30): Push =>
  answeredPush({ caller, did: business.line, ivruniqueid: id(), ...fields }, secondsAgo)
const calledBack = ({ target, business, id }: Telling): Push =>
  callBackPush({ target, caller: business.line, ivruniqueid: id() }, 5)

function legs(t: Telling): Made {
  const root = t.random.chance(0.5) ? answered(t) : missed(t)
  const leg = push(
    {
      caller: t.caller,
      did: t.business.line,
      ivruniqueid: t.id(),
      type: 'XferCDR',
      OriginalIvrUniqueID: root.ivruniqueid,
    },
    20,
  )
  const records = t.random.chance(0.6) ? [leg, root] : [root, leg]
  return { records, apart: t.random.int(0, 2 * SECOND) }
}

const words = (random: Random, text: string): Writes => ({
  text,
  afterMessage: random.pick([1, 1, 1, 2]),
  // Sometimes while we are still writing down that the message was accepted.
  delayMs: random.pick([0, 20, 100, 500, 2000]),
})

/** Every fifth record comes again, most of them in the same moment. */
const REPEATED = 0.2

/** Tells stories for ever. */
export const storyteller = (businesses: Business[], random: Random) => {
  let customers = 0
  const all = KINDS.reduce((sum, [weight]) => sum + weight, 0)

  const draw = (favoured: string[]) => {
    if (favoured.length > 0 && random.chance(0.7)) {
      const wish = random.pick(favoured)
      const found = KINDS.find(([, kind]) => kind === wish)
      if (found) return found
    }
    let drawn = random.int(1, all)
    const found = KINDS.find(([weight]) => (drawn -= weight) <= 0)
    if (!found) throw new Error('no story')
    return found
  }
  /**
   * @param favoured kinds that are wanted more than others
   * @param isLate the run is about to end: nothing that takes minutes by itself
   */
  const next = ({ favoured, isLate }: { favoured: string[]; isLate: boolean }): Story => {
    const [, kind, tell] = draw(favoured)
    const business = random.pick(businesses)
    // Only among those whose token says who they are, or the other's records would be nobody's.
    const bound = businesses.filter(one => one.bound)
    const other = random.pick(bound.filter(one => one !== business))
    const subscriber = String(20_000_000 + ++customers)
    const phone = `+9725${subscriber}`
    const telling: Telling = {
      random,
      business:
        kind === 'one call id, two businesses' && !business.bound
          ? random.pick(bound.filter(one => one !== other))
          : business,
      other,
      caller: random.pick([`05${subscriber}`, `9725${subscriber}`, phone]),
      target: `9725${subscriber}`,
      id: () => `${newCallId(new Date()).slice(0, 14)}${hex(random)}`,
    }
    if (kind === 'hostile')
      return {
        kind,
        business,
        phone: null,
        posts: [hostilePost(business, telling.id(), random)],
        writes: null,
        graph: [],
      }
    const { records, writes = null, apart = 0, silent = false } = tell(telling)
    const posts = records.flatMap((entry, n) => {
      const { at, record } = isElsewhere(entry) ? entry : { at: telling.business, record: entry }
      const post = asPost(kind, at, record, random, n === 0 ? 0 : apart)
      if (!random.chance(REPEATED)) return [post]
      return random.chance(0.7)
        ? [{ ...post, atOnce: random.pick([2, 2, 3]) }]
        : [post, { ...post, afterMs: random.int(0, 3 * SECOND) }]
    })
    return {
      kind,
      business: telling.business,
      phone: silent ? null : phone,
      posts,
      writes,
      graph: silent ? [] : graphFaults(phone, random, isLate),
    }
  }
  return { next }
}

const isElsewhere = (entry: Made['records'][number]): entry is { at: Business; record: Call } =>
  typeof entry['record'] === 'object'

const hex = (random: Random): string =>
  Array.from({ length: 12 }, () => random.int(0, 15).toString(16)).join('')

const asPost = (
  what: string,
  business: Business,
  record: Call,
  random: Random,
  afterMs: number,
): Post => {
  const isForm = random.chance(0.2)
  const text = isForm
    ? new URLSearchParams(
        Object.entries(record).map(([name, value]): [string, string] => [name, String(value)]),
      ).toString()
    : JSON.stringify(record)
  const isArray = !isForm && random.chance(0.1)
  const part = { bytes: Buffer.from(text), kept: 'raw' as const }
  return {
    what,
    business,
    body: isArray ? Buffer.from(`[${text}]`) : part.bytes,
    contentType: isForm ? 'application/x-www-form-urlencoded' : 'application/json',
    parts: [part],
    fits: [200],
    atOnce: 1,
    afterMs,
  }
}
