import type { OutreachSettings, Milliseconds } from '../outreach/rules.ts'
import { type Leg, usesNumberOf, type ClassifyRules } from '../voicenter/classify.ts'
/** Settings are in seconds; here everything is compared with moments. */
export const SECOND = 1000

/** Everything of a tenant that decides about a call: its columns, its lines, and whether it can write at all. */
export type Rules = OutreachSettings & {
  mode: string
  /** It has a WhatsApp connection; whether that was paused at times is not known any more. */
  connected: boolean
  contactForeign: boolean
  reminder1After: Milliseconds
  reminder2After: Milliseconds
  unresponsiveAfter: Milliseconds
  missedStatuses: readonly string[]
  minRingSeconds: number
  /** The numbers customers dial, and those it writes from. */
  lines: ReadonlySet<string>
}

/** What may be asked "what if" about. */
export type Changes = Partial<
  Pick<
    Rules,
    | 'outreachDelay'
    | 'repeatWindow'
    | 'oldestCall'
    | 'quietWindows'
    | 'missedStatuses'
    | 'minRingSeconds'
    | 'contactForeign'
    | 'mode'
    | 'connected'
  >
>

/** What `judge` needs to know of them. */
export const judging = ({ missedStatuses, minRingSeconds, lines }: Rules): ClassifyRules<Leg> => ({
  missedStatuses,
  minRingSeconds,
  isOurs: usesNumberOf(lines),
})

/** How long after a call something may still follow from it, short of quiet windows. */
export const reachOf = (rules: Rules): Milliseconds =>
  rules.outreachDelay + rules.reminder2After + rules.repeatWindow
