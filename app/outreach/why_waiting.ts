/** Why a message that is still to go out has not gone out yet. */
import { afterQuiet } from './quiet.ts'

/** What it may be waiting for. */
export type Facts = {
  kind: string
  dueAt: Date
  now: Date
  mode: string
  quietWindows: readonly string[]
  timezone: string
  /** The best of the business's WhatsApp numbers; null = it has none. */
  connection: string | null
  /** No number of the business may use its template for this kind of message. */
  templatePaused: boolean
  /** Of a reminder: the state of the message before it. */
  before: string | null
  /** Its job was tried to the end, and nobody comes back to it by himself. */
  jobDead: boolean
}

export type WhyWaiting =
  | 'job_dead'
  | 'tenant_paused'
  | 'shadow'
  | 'no_connection'
  | 'connection_paused'
  | 'template_paused'
  | 'quiet'
  | 'previous_not_sent'
  | 'not_yet'
  | 'any_moment'

const LEFT = ['sent', 'delivered', 'read']

/** What a person can do something about comes first: also of a message whose time has not come yet. */
export const whyWaiting = (facts: Facts): WhyWaiting => {
  if (facts.jobDead) return 'job_dead'
  if (facts.mode === 'paused') return 'tenant_paused'
  if (facts.mode === 'shadow') return 'shadow'
  if (facts.connection === null) return 'no_connection'
  if (facts.connection !== 'active') return 'connection_paused'
  if (facts.templatePaused && facts.kind !== 'opt_out_confirmation') return 'template_paused'
  if (facts.dueAt > facts.now) return 'not_yet'
  if (afterQuiet(facts.now, facts.quietWindows, facts.timezone) > facts.now) return 'quiet'
  const isReminder = facts.kind === 'reminder_1' || facts.kind === 'reminder_2'
  if (isReminder && !LEFT.includes(facts.before ?? '')) return 'previous_not_sent'
  return 'any_moment'
}
