/** One in five calls to the Graph API goes wrong, or its answer is lost, in every way there is. */
import type { ScriptInput } from '../fake_whatsapp/scripts.ts'
import { DEFAULT_TEMPLATES } from '../../app/whatsapp/templates.ts'
import type { Random } from './random.ts'

/** Of the messages. Of the calls it is less: a further try goes well, and so do some of these. */
const SHARE = 0.42

type Fault = Pick<ScriptInput, 'outcome' | 'statuses'>

/** Accepted, and the answer is lost; what WhatsApp reports later settles it, or nothing ever does. */
const lost = (outcome: NonNullable<ScriptInput['outcome']>): [number, Fault][] => [
  [2, { outcome }],
  [1, { outcome, statuses: [] }],
]

const FAULTS: [weight: number, fault: Fault][] = [
  // "Not accepted, try again": the throughput of the number, or of the pair; and Meta being down, which waits 30 s.
  [10, { outcome: { kind: 'error', code: 130429 } }],
  [8, { outcome: { kind: 'error', code: 131056 } }],
  [2, { outcome: { kind: 'error', code: 131016 } }],
  // Refusals.
  [5, { outcome: { kind: 'error', code: 131026 } }],
  [2, { outcome: { kind: 'error', code: 130472 } }],
  [1, { outcome: { kind: 'error', code: 131050 } }],
  ...lost({ kind: 'reset', accept: true }),
  ...lost({ kind: 'cut' }),
  ...lost({ kind: 'garbled' }),
  ...lost({ kind: 'no_id' }),
  ...lost({ kind: 'http', status: 502, accept: true }),
  // Not accepted, and nobody can know.
  [2, { outcome: { kind: 'http', status: 503 } }],
  [2, { outcome: { kind: 'reset' } }],
  [1, { outcome: { kind: 'hang' } }],
  [1, { outcome: { kind: 'hang', accept: true } }],
  // Slow, with the report before the answer.
  [4, { outcome: { kind: 'accept', delayMs: 2000 } }],
  [4, { statuses: [{ status: 'sent', beforeResponse: true }, 'delivered', 'read'] }],
  // Accepted, and failed afterwards.
  [3, { statuses: [{ status: 'failed', code: 131026 }] }],
  // Meta breaking its word: accepted, and yet answered with a code that says "not accepted, try again".
  [1, { outcome: { kind: 'error', code: 131056, accept: true }, statuses: [] }],
]
const ALL = FAULTS.reduce((sum, [weight]) => sum + weight, 0)

/** A reminder stays unknown, and the one after it waits a minute and more for word of it. */
const takesLong = ({ outcome, statuses }: Fault): boolean =>
  statuses?.length === 0 ||
  outcome?.kind === 'hang' ||
  (outcome !== undefined && !('accept' in outcome))

/**
 * What the messages to this person will meet.
 *
 * @param isLate the run is about to end: nothing that takes minutes by itself
 */
export const graphFaults = (to: string, random: Random, isLate: boolean): ScriptInput[] =>
  (['initial', 'reminder_1', 'reminder_2'] as const).flatMap(kind => {
    if (!random.chance(SHARE)) return []
    let drawn = random.int(1, ALL)
    const found = FAULTS.find(([weight]) => (drawn -= weight) <= 0)
    return found && !(isLate && kind === 'reminder_1' && takesLong(found[1]))
      ? [{ to, template: DEFAULT_TEMPLATES[kind].name, ...found[1] }]
      : []
  })
