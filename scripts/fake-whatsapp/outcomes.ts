import { z } from 'zod'
import { e164 } from './phone.ts'
import { statusPlan } from './status-plan.ts'

/** Milliseconds that the answer waits. What is accepted is accepted at once. */
const delayMs = z.number().min(0).default(0)
/** Whether the message is accepted, so that the person gets it, whatever the client is told. */
const accept = z.boolean().default(false)

/** What a call to /messages meets instead of the ordinary answer. */
export const outcome = z.discriminatedUnion('kind', [
  /** 200 as usual; slowly, with another `wa_id`, without `contacts`, or held for quality. */
  z.strictObject({
    kind: z.literal('accept'),
    delayMs,
    waId: z.string().regex(/^\d+$/).optional(),
    contacts: z.boolean().default(true),
    held: z
      .strictObject({
        end: z.enum(['released', 'dropped']),
        afterMs: z.number().min(0).default(50),
      })
      .optional(),
  }),
  /** An error with Meta's envelope and the code's true HTTP status, or the one given. */
  z.strictObject({
    kind: z.literal('error'),
    code: z.int(),
    httpStatus: z.int().min(400).max(599).optional(),
    details: z.string().optional(),
    delayMs,
    accept,
  }),
  /** Any answer without Meta's envelope: a proxy's page, a redirect. */
  z.strictObject({
    kind: z.literal('http'),
    status: z.int().min(200).max(599),
    body: z.string().default('<html><body><h1>Error</h1></body></html>'),
    headers: z.record(z.string(), z.string()).default({ 'content-type': 'text/html' }),
    delayMs,
    accept,
  }),
  /** No answer, ever. */
  z.strictObject({ kind: z.literal('hang'), accept }),
  /**
   * The connection is reset. Not accepted and chosen by nothing but the number, it is dropped
   * before the body is read.
   */
  z.strictObject({ kind: z.literal('reset'), delayMs, accept }),
  /** Accepted; the 200 is cut off in the middle. */
  z.strictObject({ kind: z.literal('cut'), delayMs }),
  /** Accepted; the 200 holds no JSON. */
  z.strictObject({ kind: z.literal('garbled'), delayMs }),
  /** Accepted; the 200 lacks `messages[0].id`. */
  z.strictObject({ kind: z.literal('no_id'), delayMs }),
])
export type Outcome = z.output<typeof outcome>

/** Which calls a script is for (all fields must fit; none given fits every call), and what it does. */
export const scriptInput = z.strictObject({
  /** The person the message reaches, in E.164. */
  to: e164.optional(),
  /** The last digits of that person's number. */
  toSuffix: z.string().regex(/^\d+$/).optional(),
  template: z.string().optional(),
  phoneNumberId: z.string().optional(),
  /** For how many calls. */
  times: z.union([z.int().min(1), z.literal('always')]).default(1),
  outcome: outcome.optional(),
  /** The statuses that follow, instead of the usual ones. */
  statuses: statusPlan.optional(),
})
export type ScriptInput = z.input<typeof scriptInput>
type Script = z.output<typeof scriptInput>

/** What is known of a call when its script is looked for. */
export type Call = { phoneNumberId: string; to?: string | undefined; template?: string | undefined }

const fits = (script: Script, call: Call): boolean =>
  (script.phoneNumberId === undefined || script.phoneNumberId === call.phoneNumberId) &&
  (script.to === undefined || script.to === call.to) &&
  (script.toSuffix === undefined || call.to?.endsWith(script.toSuffix) === true) &&
  (script.template === undefined || script.template === call.template)

/** Dropped unread: only possible where the address of the request is all there is to know. */
const dropsUnread = ({ outcome: meets, to, toSuffix, template }: Script): boolean =>
  meets?.kind === 'reset' && !meets.accept && !to && !toSuffix && !template

export type Scripts = ReturnType<typeof createScripts>

/**
 * The scripts still to be played. Those for a number of calls come first, in the order in which
 * they were added; after them the newest one that is for ever.
 */
export const createScripts = () => {
  let counted: { script: Script; left: number }[] = []
  let lasting: Script[] = []

  const next = (call: Call): Script | undefined =>
    counted.find(({ script }) => fits(script, call))?.script ??
    lasting.find(script => fits(script, call))

  const use = (script: Script | undefined) => {
    for (const entry of counted) if (entry.script === script) entry.left--
    counted = counted.filter(({ left }) => left > 0)
    return script
  }

  return {
    add: (input: ScriptInput) => {
      const script = scriptInput.parse(input)
      if (script.times === 'always') lasting = [script, ...lasting]
      else counted.push({ script, left: script.times })
    },
    /** The script for this call, which is then used up by one. */
    take: (call: Call) => use(next(call)),
    /** The same for a request whose body has not been read: its script, if it drops it unread. */
    takeUnread: (phoneNumberId: string) => {
      const script = next({ phoneNumberId })
      return script && dropsUnread(script) ? use(script) : undefined
    },
    clear: () => {
      counted = []
      lasting = []
    },
  }
}
