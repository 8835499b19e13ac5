/** Requests to Voicenter's Call Log API. */
import { setTimeout as sleep } from 'node:timers/promises'
import { config } from '../../config.ts'
import { type Answer, halves, readAnswer, type Window } from './entries.ts'

/** The credential for a call log: the organisation's code, which is sent in the body, or a bearer token. */
export type Credential = { kind: 'code' | 'bearer'; secret: string }

/** An answer with 10,000 CDRs takes a while. */
const TIMEOUT_MS = 20_000
/** A CDR has about 600 bytes. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

/** Voicenter allows 30 requests a minute, and asks for five seconds between them after too many. */
const PAUSE_MS = 5_000
/** The limit for one check, so that it ends within five minutes. After that a job counts as stuck. */
const MAX_REQUESTS = 10

/** The fields that classification needs. Not the URL of the recording, the price or the agent's name. */
const FIELDS =
  `CallerNumber TargetNumber Date DateEpoch Duration CallID Type CdrType DialStatus TargetExtension
  CallerExtension DID QueueName RingTime RepresentativeName CustomData`.split(/\s+/)

export type CallLogOptions = { pause?: number; timeout?: number; signal?: AbortSignal }

/**
 * Requests the calls of a window. If one answer cannot hold them, it requests each half of the window. Ends with the
 * first failure.
 *
 * @param options the pause between two requests and the time limit of one, in ms; a signal that stops it between two
 */
export async function* callsBetween(
  credential: Credential,
  window: Window,
  { pause = PAUSE_MS, timeout = TIMEOUT_MS, signal }: CallLogOptions = {},
): AsyncGenerator<Answer> {
  const open = [window]
  let requests = 0
  for (let next = open.pop(); next; next = open.pop()) {
    if (requests === MAX_REQUESTS) {
      yield { kind: 'failed', why: 'too_many_calls', retrySoon: false }
      return
    }
    if (requests++ > 0) await sleep(pause, undefined, { signal }).catch(() => {})
    if (signal?.aborted) {
      yield { kind: 'failed', why: 'stopped', retrySoon: true }
      return
    }
    const answer = await request(credential, next, timeout)
    if (answer.kind === 'records' && !answer.isComplete) open.push(...halves(next).toReversed())
    else yield answer
    if (answer.kind === 'failed') return
  }
}

const request = async (
  credential: Credential,
  { from, until }: Window,
  timeout: number,
): Promise<Answer> => {
  const asked = {
    fields: FIELDS,
    search: { fromdate: gmt(from), todate: gmt(until) },
    sort: [{ field: 'date', order: 'asc' }],
  }
  const url = `${config().VOICENTER_API_URL}/hub/cdr/`
  const answer = await ask(url, credential, asked, { timeout, maxBytes: MAX_ANSWER_BYTES })
  if ('text' in answer) return readAnswer(answer.status, answer.text)
  return { kind: 'failed', why: answer.failed, retrySoon: answer.failed !== 'answer_too_long' }
}

/**
 * Sends a request with the credential of a tenant. It never throws, and never follows a redirect, which would send the
 * credential elsewhere.
 */
export const ask = async (
  url: string,
  { kind, secret }: Credential,
  asked: Record<string, unknown>,
  { timeout, maxBytes }: { timeout: number; maxBytes: number },
): Promise<
  { status: number; text: string } | { failed: 'answer_too_long' | 'timeout' | 'unreachable' }
> => {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(kind === 'bearer' && { authorization: `Bearer ${secret}` }),
      },
      body: JSON.stringify({ ...(kind === 'code' && { code: secret }), ...asked }),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    })
    const text = await readText(response, maxBytes)
    return text === null ? { failed: 'answer_too_long' } : { status: response.status, text }
  } catch (error) {
    // The message of the error may quote a header with the token, so it is not used.
    const timedOut = error instanceof Error && error.name === 'TimeoutError'
    return { failed: timedOut ? 'timeout' : 'unreachable' }
  }
}

/** GMT without a zone, as in Voicenter's examples. */
const gmt = (at: Date): string => at.toISOString().slice(0, 19)

/** Null if the answer is too long. */
const readText = async (response: Response, maxBytes: number): Promise<string | null> => {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > maxBytes) return null
    chunks.push(chunk)
  }
  // Unlike a Buffer, it removes a byte order mark.
  return new TextDecoder().decode(Buffer.concat(chunks))
}
