import { z } from 'zod'
import { config } from '../config.ts'
import { NOT_ACCEPTED, neverArrived, type ErrorPolicy, errorPolicy } from './errors.ts'

/** A message that is ready to be sent. */
export type Outgoing = {
  /** Our id. Meta echoes it in every status (`biz_opaque_callback_data`). */
  messageId: string
  phoneNumberId: string
  accessToken: string
  /** E.164 with the plus. Without the plus, Meta adds the country code of the business. */
  to: string
  content: TemplateContent | FreeText
}
/** The variables of the body in order. The template must be approved in exactly this language. */
export type TemplateContent = { template: string; language: string; variables: readonly string[] }
/** Allowed only within 24 hours after the person's last message. */
export type FreeText = { text: string }

export type Outcome =
  | { kind: 'accepted'; wamid: string; waId: string | null }
  /** Certainly not accepted. `code` is Meta's; null if the request never arrived. */
  | { kind: 'refused'; code: number | null; policy: ErrorPolicy; why: string }
  /** It may have been accepted, so it must not be sent again automatically. */
  | { kind: 'unknown'; why: string }

/** Longer than the 10 s after which Node gives up connecting, so that a dead network is known as "never arrived". */
export const SEND_TIMEOUT_MS = 15_000

/** An answer has a few hundred bytes. */
const MAX_ANSWER_BYTES = 256 * 1024

const acceptance = z.object({
  messages: z.array(z.object({ id: z.string().min(1) })).min(1),
  // The id alone proves that the message was accepted. The other fields are optional.
  contacts: z
    .array(z.object({ wa_id: z.string().optional().catch(undefined) }))
    .optional()
    .catch(undefined),
})
const refusal = z.object({ error: z.object({ code: z.number().int() }) })

/**
 * Sends one message once: no retry, no redirect. It never throws. This API has no idempotency key (Meta, "Messages API"
 * page), so `unknown` is an outcome of its own.
 */
export const postMessage = async (message: Outgoing): Promise<Outcome> => {
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
      return { kind: 'refused', code: null, policy: NOT_ACCEPTED, why: 'never_arrived' }
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

/** What an answer means for the message. */
export const outcomeOf = (status: number, text: string): Outcome => {
  const answer = parsed(text)
  const code = refusal.safeParse(answer).data?.error.code
  if (code !== undefined && status >= 400) {
    const policy = errorPolicy(code, status)
    return policy
      ? { kind: 'refused', code, policy, why: 'error_code' }
      : { kind: 'unknown', why: `http_${status}` }
  }
  if (status >= 200 && status < 300) {
    const { data } = acceptance.safeParse(answer)
    const wamid = data?.messages[0]?.id
    return wamid
      ? { kind: 'accepted', wamid, waId: data?.contacts?.[0]?.wa_id ?? null }
      : { kind: 'unknown', why: 'unreadable_answer' }
  }
  // A redirect, or a 4xx without a code of Meta's: a wrong base URL or a proxy. Nothing was accepted.
  if (status < 500)
    return { kind: 'refused', code: null, policy: NOT_ACCEPTED, why: `http_${status}` }
  return { kind: 'unknown', why: `http_${status}` }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // A proxy's page, or an answer that was cut off. The HTTP status decides what it means.
    return undefined
  }
}
