import { z } from 'zod'
import { config } from '../config.ts'
import { NOT_ACCEPTED, neverArrived, type ErrorPolicy, errorPolicy } from './errors.ts'

/** A message, ready to go. */
export type Outgoing = {
  /** Our id of the message; Meta echoes it in every status (`biz_opaque_callback_data`). */
  messageId: string
  phoneNumberId: string
  accessToken: string
  /** E.164 with the plus: without it Meta puts the business's own country code in front. */
  to: string
  content: TemplateContent | FreeText
}
/** The body's variables in order; the template must be approved under exactly this language. */
export type TemplateContent = { template: string; language: string; variables: readonly string[] }
/** Only within 24 hours after the person wrote. */
export type FreeText = { text: string }

export type Outcome =
  | { kind: 'accepted'; wamid: string; waId: string | null }
  /** Not accepted, for sure. `code` is Meta's; null when the request never arrived. */
  | { kind: 'refused'; code: number | null; remedy: ErrorPolicy; why: string }
  /** It may have been accepted. Must never be sent again by itself. */
  | { kind: 'unknown'; why: string }

/**
 * Longer than the 10 s in which Node gives up connecting, so that a dead network is known as "never
 * arrived" and not as "perhaps".
 */
export const SEND_TIMEOUT_MS = 15_000

/** An answer is some hundred bytes. */
const MAX_ANSWER_BYTES = 256 * 1024

const acceptance = z.object({
  messages: z.array(z.object({ id: z.string().min(1) })).min(1),
  // Only the id says whether it was accepted; no form of the rest may make that unknown.
  contacts: z
    .array(z.object({ wa_id: z.string().optional().catch(undefined) }))
    .optional()
    .catch(undefined),
})
const refusal = z.object({ error: z.object({ code: z.number().int() }) })

/**
 * Sends one message, once: no retry, no redirect. Never throws; whatever happens is an outcome. There is
 * no idempotency key in this API, so "perhaps" is an answer of its own (Meta, "Messages API" page).
 */
export const send = async (message: Outgoing): Promise<Outcome> => {
  let status: number
  let text: string
  try {
    const response = await fetch(
      `${config().WHATSAPP_GRAPH_URL}/${config().WHATSAPP_GRAPH_VERSION}/${encodeURIComponent(message.phoneNumberId)}/messages`,
      {
        method: 'POST',
        headers: {
          authorization: `Bearer ${message.accessToken}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify(requestBody(message)),
        redirect: 'manual',
        signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
      },
    )
    status = response.status
    text = await readAnswer(response)
  } catch (error) {
    if (neverArrived(error))
      return { kind: 'refused', code: null, remedy: NOT_ACCEPTED, why: 'never_arrived' }
    return { kind: 'unknown', why: error instanceof Error ? error.name : 'no_answer' }
  }
  return outcomeOf(status, text)
}

const requestBody = ({ to, messageId, content }: Outgoing) => ({
  messaging_product: 'whatsapp',
  recipient_type: 'individual',
  to,
  biz_opaque_callback_data: messageId,
  ...('text' in content
    ? { type: 'text', text: { preview_url: false, body: content.text } }
    : {
        type: 'template',
        template: {
          name: content.template,
          language: { code: content.language },
          components: [
            { type: 'body', parameters: content.variables.map(text => ({ type: 'text', text })) },
          ],
        },
      }),
})

const readAnswer = async (response: Response): Promise<string> => {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new Error('answer too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** An answer as what it means for the message. */
export const outcomeOf = (status: number, text: string): Outcome => {
  const answer = parsed(text)
  const code = refusal.safeParse(answer).data?.error.code
  if (code !== undefined && status >= 400) {
    const remedy = errorPolicy(code, status)
    return remedy
      ? { kind: 'refused', code, remedy, why: 'error_code' }
      : { kind: 'unknown', why: `http_${status}` }
  }
  if (status >= 200 && status < 300) {
    const { data } = acceptance.safeParse(answer)
    const wamid = data?.messages[0]?.id
    return wamid
      ? { kind: 'accepted', wamid, waId: data?.contacts?.[0]?.wa_id ?? null }
      : { kind: 'unknown', why: 'unreadable_answer' }
  }
  // A redirect, or a 4xx that is not Meta's: a wrong base URL, a proxy. Nothing was taken.
  if (status < 500)
    return { kind: 'refused', code: null, remedy: NOT_ACCEPTED, why: `http_${status}` }
  return { kind: 'unknown', why: `http_${status}` }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: a proxy's page, or an answer that was cut off. What it means is decided by who asked.
    return undefined
  }
}
