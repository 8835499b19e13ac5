import { setTimeout as sleep } from 'node:timers/promises'
import { config } from '../../config.ts'
import { type Answer, readAnswer } from './answer.ts'
import { halves, type Window } from './window.ts'

/** What opens the log: the organisation's code, sent in the body, or a bearer token. */
export type Credential = { kind: 'code' | 'bearer'; secret: string }

/** An answer of 10,000 records takes its time. */
const TIMEOUT_MS = 20_000
/** And has some 600 bytes a record. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

/** Voicenter allows 30 requests a minute, and asks for five seconds between them where it was too much. */
const PAUSE_MS = 5_000
/** Of one check, so that it ends within the five minutes after which a job counts as stuck. */
const MOST_REQUESTS = 10

/** What judging needs. Not the recording's URL, the price, or who the agent was. */
const FIELDS =
  `CallerNumber TargetNumber Date DateEpoch Duration CallID Type CdrType DialStatus TargetExtension
  CallerExtension DID QueueName RingTime RepresentativeName CustomData`.split(/\s+/)

type Limits = { pause?: number; timeout?: number; signal?: AbortSignal }

/**
 * Asks for the calls of a window; where they are more than one answer holds, half by half. Ends with the first
 * failure.
 *
 * @param limits in ms: the pause between two requests, and how long one may take; and a signal to end between two
 */
export async function* callsBetween(
  credential: Credential,
  window: Window,
  { pause = PAUSE_MS, timeout = TIMEOUT_MS, signal }: Limits = {},
): AsyncGenerator<Answer> {
  const open = [window]
  let asked = 0
  for (let next = open.pop(); next; next = open.pop()) {
    if (asked === MOST_REQUESTS) {
      yield { kind: 'failed', why: 'too_many_calls', passing: false }
      return
    }
    if (asked++ > 0) await sleep(pause, undefined, { signal }).catch(() => {})
    if (signal?.aborted) {
      yield { kind: 'failed', why: 'stopped', passing: true }
      return
    }
    const answer = await ask(credential, next, timeout)
    if (answer.kind === 'records' && !answer.whole) open.push(...halves(next).toReversed())
    else yield answer
    if (answer.kind === 'failed') return
  }
}

/** One request. Never throws, and never follows a redirect, which would carry the credential elsewhere. */
const ask = async (
  { kind, secret }: Credential,
  { from, until }: Window,
  timeout: number,
): Promise<Answer> => {
  try {
    const response = await fetch(`${config.VOICENTER_API_URL}/hub/cdr/`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(kind === 'bearer' && { authorization: `Bearer ${secret}` }),
      },
      body: JSON.stringify({
        ...(kind === 'code' && { code: secret }),
        fields: FIELDS,
        search: { fromdate: gmt(from), todate: gmt(until) },
        sort: [{ field: 'date', order: 'asc' }],
      }),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    })
    const text = await readText(response)
    if (text === null) return { kind: 'failed', why: 'answer_too_long', passing: false }
    return readAnswer(response.status, text)
  } catch (error) {
    // Its message may quote a header, and so the token: a word is enough.
    const timedOut = error instanceof Error && error.name === 'TimeoutError'
    return { kind: 'failed', why: timedOut ? 'timeout' : 'unreachable', passing: true }
  }
}

/** As in Voicenter's own examples: GMT, without saying so. */
const gmt = (at: Date): string => at.toISOString().slice(0, 19)

const readText = async (response: Response): Promise<string | null> => {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
