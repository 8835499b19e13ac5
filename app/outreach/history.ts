import type { Facts } from './eligibility.ts'
import type { Milliseconds } from './timing.ts'

/** What the tenant wants: columns of `tenants`, spans in milliseconds. */
export type Wishes = {
  timezone: string
  quietWindows: readonly string[]
  outreachDelay: Milliseconds
  repeatWindow: Milliseconds
  oldestCall: Milliseconds
  grace: Milliseconds
  reminderGrace: Milliseconds
}

/**
 * What has passed between a person and the business, apart from the call that is asked about; of each kind the last.
 * Null = never.
 */
export type History = {
  /** A first message or a reminder is on its way at this moment. */
  sending: boolean
  /** When the pending first message for another call is due, and a pending reminder. */
  firstDueAt: Date | null
  reminderDueAt: Date | null
  /** When a message was claimed that went out, or may have. Failed and shadow ones are none. */
  sentAt: Date | null
  /** When the call began in which a person talked with her. */
  talkedAt: Date | null
  /** When she wrote. */
  wroteAt: Date | null
}

/** What follows from it for a call that began at `calledAt`: the part of the facts that is a matter of time. */
export const whatPassed = (
  history: History,
  calledAt: Date,
  now: Date,
  { repeatWindow, grace, reminderGrace }: Pick<Wishes, 'repeatWindow' | 'grace' | 'reminderGrace'>,
): Pick<Facts, 'contacted' | 'reached' | 'replied'> => {
  /** Later than now, once so much has been added. */
  const within = (moment: Date | null, span: Milliseconds) =>
    moment !== null && moment.getTime() + span > now.getTime()
  return {
    contacted:
      history.sending ||
      // What is longer overdue than this will not be sent any more.
      within(history.firstDueAt, grace) ||
      within(history.reminderDueAt, reminderGrace) ||
      within(history.sentAt, repeatWindow),
    reached: history.talkedAt !== null && history.talkedAt >= calledAt,
    replied: history.wroteAt !== null && history.wroteAt >= calledAt,
  }
}
