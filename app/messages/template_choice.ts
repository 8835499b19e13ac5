import { isQuiet } from '../outreach/quiet_hours.ts'
import { type Hours, type OwnTemplate, ownTemplate } from '../whatsapp/own_templates.ts'
import type { Button, Language, Template, TemplateKind } from '../whatsapp/templates.ts'

/** A template of a connection for one kind of message. */
export type Candidate = Template & {
  /** The calls that it is for: the number that was dialled, and the time at which the message is sent. Null = any. */
  number: string | null
  hours: Hours | null
  /** Null = not known. */
  body: string | null
  buttons: readonly Button[]
  /** Meta has approved it, as far as is known. */
  isActive: boolean
}

/**
 * Whether a business is open.
 *
 * @param openingHours as in `tenants.opening_hours`; none = it is not known
 */
export const hoursAt = (
  now: Date,
  openingHours: readonly string[],
  timezone: string,
): Hours | null => {
  if (openingHours.length === 0) return null
  return isQuiet(now, { windows: openingHours, timezone, location: '' }) ? 'open' : 'closed'
}

const ofOurs = ({ text: body, ...own }: OwnTemplate): Candidate => ({
  ...own,
  body,
  number: null,
  hours: null,
  isActive: true,
})

const specificity = ({ number, hours }: Candidate): number =>
  (number === null ? 0 : 2) + (hours === null ? 0 : 1)

/**
 * Chooses the most specific approved template: for the number and the hours, then for the number, then for the hours. If none
 * is approved, the message waits for the one for all calls.
 */
export const chooseTemplate = (
  candidates: readonly Candidate[],
  kind: TemplateKind,
  language: Language,
  { number, hours }: { number: string | null; hours: Hours | null },
): Candidate => {
  const general =
    candidates.find(one => specificity(one) === 0) ?? ofOurs(ownTemplate(kind, { language }))
  const [best] = [...candidates, general]
    .filter(
      one =>
        one.isActive &&
        (one.number === null || one.number === number) &&
        (one.hours === null || one.hours === hours),
    )
    .toSorted((a, b) => specificity(b) - specificity(a))
  return best ?? general
}
