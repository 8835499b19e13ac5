import type { Milliseconds, OutreachSettings } from '../outreach/rules.ts'
import {
  type ClassifyRules,
  type Leg,
  type TenantReading,
  usesNumberOf,
} from '../voicenter/classify.ts'

/** Settings are in seconds, a simulation computes in milliseconds. */
export const SECOND = 1000

/** Everything about a tenant that affects its calls: its settings, its numbers, and whether it can send at all. */
export type Rules = OutreachSettings & {
  mode: string
  /** The tenant has a WhatsApp connection. Pauses of the connection are not known any more. */
  connected: boolean
  contactForeign: boolean
  reminder1After: Milliseconds
  reminder2After: Milliseconds
  unresponsiveAfter: Milliseconds
  missedStatuses: readonly string[]
  minRingSeconds: number
  /** The numbers that customers dial, and the numbers that the tenant writes from. */
  lines: ReadonlySet<string>
}

/** The rules that a replay can change. */
export type RuleChanges = Partial<
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

export const classifyRulesOf = ({
  missedStatuses,
  minRingSeconds,
  lines,
}: Rules): ClassifyRules<Leg> => ({
  missedStatuses,
  minRingSeconds,
  isOurs: usesNumberOf(lines),
})

export const readingOf = ({
  timezone,
  lines,
}: Pick<Rules, 'timezone' | 'lines'>): TenantReading => ({
  timezone,
  isOwnLine: e164 => lines.has(e164),
})

/** How long a call can affect others, apart from quiet windows. */
export const effectSpan = (rules: Rules): Milliseconds =>
  rules.outreachDelay + rules.reminder2After + rules.repeatWindow
