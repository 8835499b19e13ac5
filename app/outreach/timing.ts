/** When it is too late. Late is worse than never: nobody wants to be asked about a call of yesterday. */

/** All times of the database's clock, spans in milliseconds. */
export type Milliseconds = number

/** The call began longer than `oldestCall` before we heard of it. */
export const isTooOld = (now: Date, calledAt: Date, oldestCall: Milliseconds): boolean =>
  now.getTime() - calledAt.getTime() > oldestCall

/** The message was due longer than `grace` ago and has not started. */
export const isTooLate = (now: Date, dueAt: Date, grace: Milliseconds): boolean =>
  now.getTime() - dueAt.getTime() > grace
