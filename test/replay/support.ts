/** Calls of a summer's week, told in plain words, and what a simulation makes of them. */
import type { JsonObject } from '../../app/json.ts'
import {
  type Heard,
  replay,
  type Rules,
  type Known,
  newSimulation,
  type Simulation,
} from '../../app/replay/simulate.ts'
import { readCdr, rootOf } from '../../app/voicenter/parse.ts'
import { legOf } from '../../app/voicenter/classify.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

export const LINE = '0722776772'
export const DANA = '0502345678'
export const NOA = '0523456789'

/** A business as it is by default, live and connected. */
export const RULES: Rules = {
  timezone: 'Asia/Jerusalem',
  quietWindows: [],
  outreachDelay: 2 * MINUTE,
  repeatWindow: 24 * HOUR,
  oldestCall: 2 * HOUR,
  grace: 30 * MINUTE,
  reminderGrace: 6 * HOUR,
  reminder1After: 2 * HOUR,
  reminder2After: 24 * HOUR,
  unresponsiveAfter: 24 * HOUR,
  mode: 'live',
  connected: true,
  contactForeign: false,
  missedStatuses: ['NOANSWER', 'ABANDONE', 'TIMEOUT'],
  minRingSeconds: 0,
  lines: new Set([`+972${LINE.slice(1)}`]),
}

/** `mon 10:30` of the week of July 6th 2026, on Israel's clock (summer, UTC+3). */
export const at = (written: string): Date => {
  const [day = '', time = ''] = written.split(' ')
  const number = 6 + ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'].indexOf(day)
  return new Date(`2026-07-${String(number).padStart(2, '0')}T${time}:00+03:00`)
}

/** A record of a customer's call that nobody answered, which came a minute after the call began. */
export const call = (id: string, began: string, fields: JsonObject = {}, minutes = 1): Heard => {
  const read = readCdr({
    CallID: id,
    caller: DANA,
    DID: LINE,
    DialStatus: 'NOANSWER',
    type: 'Incoming Call',
    time: at(began).toISOString(),
    ...fields,
  })
  if ('wrong' in read) throw new Error(read.wrong)
  const receivedAt = new Date(at(began).getTime() + minutes * MINUTE)
  return {
    rootCallId: rootOf(read.cdr),
    receivedAt,
    leg: legOf(read.cdr, receivedAt),
    records: null,
  }
}
export const answered = (id: string, began: string, fields: JsonObject = {}, minutes = 1): Heard =>
  call(id, began, { DialStatus: 'ANSWER', targetextension: 'KGpK4iWq', ...fields }, minutes)
export const calledBack = (id: string, began: string, fields: JsonObject = {}): Heard =>
  call(id, began, {
    type: 'Extension Outgoing',
    DialStatus: 'ANSWER',
    caller: LINE,
    target: `972${DANA.slice(1)}`,
    DID: '',
    ...fields,
  })

/** Nobody wrote, and nobody has opted out. */
export const known = (about: { optedOut?: string; wrote?: string[] } = {}): Known => ({
  optedOutAt: () => (about.optedOut ? at(about.optedOut) : null),
  repliesOf: () => (about.wrote ?? []).map(at),
})

/** Plays the records to the end of the week after, unless it is said otherwise. */
export const play = async (
  records: Heard[],
  {
    rules = {},
    about = known(),
    until = new Date(at('sun 23:00').getTime() + 7 * 24 * HOUR),
  }: { rules?: Partial<Rules>; about?: Known; until?: Date } = {},
): Promise<Simulation> => {
  const simulation = newSimulation({ ...RULES, ...rules }, about)
  await replay(records, [simulation], until)
  return simulation
}

const DAYS = new Intl.DateTimeFormat('en', {
  timeZone: 'Asia/Jerusalem',
  weekday: 'short',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
})

/** What became of a call, and when what was sent: `sent accepted`, `mon 10:03`, `mon 12:03`. */
export const storyOf = ({ calls }: Simulation, id: string): string[] => {
  const outcome = calls.get(id)
  if (!outcome?.missed) return [`${outcome?.verdict} ${outcome?.reason}`]
  const { state, reason, sent } = outcome.missed
  return [`${state} ${reason}`, ...sent.map(({ at }) => DAYS.format(at).toLowerCase())]
}
