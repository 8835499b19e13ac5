/** What a test can tell the fake to do: how to answer a request, and which statuses to send afterwards. */
import type { StatusName } from './state.ts'

/** How a request to /messages is answered. */
export type Outcome =
  /** 200 as usual; optionally with another `wa_id`, or without `contacts`. */
  | { kind: 'accept'; delayMs?: number; waId?: string; contacts?: boolean }
  /** An error of Meta, with the HTTP status of its code or the one given here. */
  | ({ kind: 'error'; code: number; httpStatus?: number } & Answer)
  /** An answer that is not from Meta, such as the error page of a proxy, or a redirect. */
  | ({ kind: 'http'; status: number; body?: string; headers?: Record<string, string> } & Answer)
  | { kind: 'hang'; accept?: boolean }
  | ({ kind: 'reset' } & Answer)
  /** Accepted, but the 200 ends in the middle of the body, is not JSON, or has no `messages[0].id`. */
  | { kind: 'cut' | 'garbled' | 'no_id'; delayMs?: number }

type Answer = {
  /** Delays the answer, not the acceptance. */
  delayMs?: number
  /** The message is accepted, so the person gets it, whatever the answer says. */
  accept?: boolean
}

/** One status that follows an accepted message. */
export type StatusStep = {
  status: StatusName
  /** Milliseconds after acceptance; by default 40 more than the step before. */
  afterMs?: number
  code?: number
  /** Deliver the status, and wait for the answer, before the response to the send. */
  beforeResponse?: boolean
  /** False: do not echo `biz_opaque_callback_data`. */
  callbackData?: boolean
  agoSeconds?: number
  fields?: Record<string, unknown>
}
/** The statuses of a message. An empty list: none. */
export type StatusPlan = (StatusName | StatusStep)[]

/** Which requests a script applies to (all of the given fields must match), and what it does. */
export type ScriptInput = {
  /** The recipient, in E.164. */
  to?: string
  /** The last digits of the recipient's phone. */
  toSuffix?: string
  template?: string
  phoneNumberId?: string
  /** How many requests the script applies to; by default one. */
  times?: number | 'always'
  outcome?: Outcome | undefined
  statuses?: StatusPlan
}

/** What is known of a request when its script is chosen. */
type Call = { phoneNumberId: string; to?: string | undefined; template?: string | undefined }

const matches = ({ phoneNumberId, to, toSuffix, template }: ScriptInput, call: Call): boolean =>
  (phoneNumberId === undefined || phoneNumberId === call.phoneNumberId) &&
  (to === undefined || to === call.to) &&
  (toSuffix === undefined || call.to?.endsWith(toSuffix) === true) &&
  (template === undefined || template === call.template)

export type Scripts = ReturnType<typeof createScripts>

export const createScripts = () => {
  let entries: { script: ScriptInput; left: number }[] = []

  return {
    /** The statuses of messages whose script names none. */
    defaultStatuses: ['sent', 'delivered'] as StatusPlan,
    add: (script: ScriptInput): void => {
      const { times = 1 } = script
      entries.push({ script, left: times === 'always' ? Infinity : times })
    },
    /**
     * Returns the script for this request, and counts its use. Counted scripts come first, in the order in which they
     * were added; then the newest permanent one.
     */
    take: (call: Call): ScriptInput | undefined => {
      const entry =
        entries.find(({ script, left }) => left < Infinity && matches(script, call)) ??
        entries.findLast(({ script }) => matches(script, call))
      if (entry && --entry.left === 0) entries = entries.filter(one => one !== entry)
      return entry?.script
    },
    clear: () => void (entries = []),
  }
}
