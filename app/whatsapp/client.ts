import type { ClientRequest } from 'node:http'
import https from 'node:https'
import { z } from 'zod'
import { config } from '../config.ts'
import { http } from '../http.ts'
import { NOT_ACCEPTED, type ErrorPolicy, errorPolicy } from './errors.ts'
import type { Button } from './templates.ts'

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
export type TemplateContent = {
  template: string
  language: string
  variables: readonly string[]
  /** The buttons of the template, in order. */
  buttons?: readonly Button[]
}
/** Allowed only within 24 hours after the person's last message. */
export type FreeText = { text: string }

export type Outcome =
  | {
      kind: 'accepted'
      wamid: string
      waId: string | null
      /** WhatsApp's other ids of the person. */
      userIds?: string[]
    }
  /** Certainly not accepted. `code` is Meta's; null if the request never arrived. */
  | { kind: 'refused'; code: number | null; policy: ErrorPolicy; why: string }
  /** It may have been accepted, so it must not be sent again automatically. */
  | { kind: 'unknown'; why: string }

/** Together with the time that a claim may wait for its sender, this stays within CLAIM_SECONDS (messages/message.ts). */
export const SEND_TIMEOUT_MS = 15_000

/** An answer has a few hundred bytes. */
const MAX_ANSWER_BYTES = 256 * 1024

/** Postgres must be able to store and index it. */
const id = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^\0]*$/)
const acceptance = z.object({
  messages: z.array(z.object({ id })).min(1),
  // The id alone proves that the message was accepted. The other fields are optional.
  contacts: z
    .array(
      z.object({
        wa_id: id.optional().catch(undefined),
        user_id: id.optional().catch(undefined),
        parent_user_id: id.optional().catch(undefined),
      }),
    )
    .optional()
    .catch(undefined),
})
const refusal = z.object({
  error: z.object({
    code: z.int32(),
    error_subcode: z.number().optional().catch(undefined),
    message: z.string().optional().catch(undefined),
    error_data: z
      .object({ details: z.string().optional().catch(undefined) })
      .optional()
      .catch(undefined),
  }),
})

/**
 * Sends one message once: no retry, no redirect. It never throws. This API has no idempotency key (Meta, "Messages API"
 * page), so `unknown` is an outcome of its own.
 */
export const postMessage = async (message: Outgoing): Promise<Outcome> => {
  const { WHATSAPP_GRAPH_URL: base, WHATSAPP_GRAPH_VERSION: version } = config()
  const url = new URL(`${base}/${version}/${encodeURIComponent(message.phoneNumberId)}/messages`)
  const answer = await postOnce(url, message.accessToken, JSON.stringify(requestBody(message)))
  if (answer.kind === 'answer') return outcomeOf(answer.status, answer.text)
  if (answer.kind === 'lost') return { kind: 'unknown', why: answer.why }
  return { kind: 'refused', code: null, policy: NOT_ACCEPTED, why: 'never_arrived' }
}

type Answer =
  | { kind: 'answer'; status: number; text: string }
  /** It failed before the connection was there: no byte of the request was sent. */
  | { kind: 'never_sent' }
  /** It failed later. */
  | { kind: 'lost'; why: string }

/**
 * One request on a connection of its own. Not fetch: it sends a request again by itself after a 421, and it does not tell
 * whether a connection was there. A connection that is kept open could be closed by the other side at the moment of the
 * request, and the message would be `unknown`.
 */
const postOnce = (url: URL, token: string, body: string): Promise<Answer> => {
  const isSecure = url.protocol === 'https:'
  const { promise, resolve } = Promise.withResolvers<Answer>()
  let isConnected = false
  const fail = (why: string) =>
    resolve(isConnected ? { kind: 'lost', why } : { kind: 'never_sent' })
  let request: ClientRequest
  try {
    request = (isSecure ? https : http).request(url, {
      method: 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'accept-encoding': 'identity',
      },
    })
  } catch {
    // Such as a token that no header can carry.
    return Promise.resolve({ kind: 'never_sent' })
  }
  const timer = setTimeout(() => {
    fail('TimeoutError')
    request.destroy()
  }, SEND_TIMEOUT_MS)
  request
    .on('socket', socket =>
      socket.once(isSecure ? 'secureConnect' : 'connect', () => (isConnected = true)),
    )
    .on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.name))
    .on('close', () => {
      clearTimeout(timer)
      fail('closed')
    })
    .on('response', response => {
      const chunks: Buffer[] = []
      let length = 0
      response
        .on('data', (chunk: Buffer) => {
          length += chunk.length
          chunks.push(chunk)
          if (length <= MAX_ANSWER_BYTES) return
          fail('answer_too_long')
          request.destroy()
        })
        .on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.name))
        .on('end', () =>
          resolve({
            kind: 'answer',
            status: response.statusCode ?? 0,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        )
    })
    .end(body)
  return promise
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
            ...buttonComponents(content.buttons ?? []),
          ],
        },
      }),
})

/** Each button that Ringback knows, with the payload that a tap on it returns. */
const buttonComponents = (buttons: readonly Button[]) =>
  buttons.flatMap((button, index) =>
    button === 'other'
      ? []
      : {
          type: 'button',
          sub_type: 'quick_reply',
          index: String(index),
          parameters: [{ type: 'payload', payload: `ringback:${button}` }],
        },
  )

/** What an answer means for the message. */
export const outcomeOf = (status: number, text: string): Outcome => {
  const answer = parsed(text)
  const error = refusal.safeParse(answer).data?.error
  if (error && status >= 400) {
    const { code, error_subcode: subcode } = error
    const details = [error.error_data?.details, error.message].join(' ')
    const policy = errorPolicy(code, status, { subcode, details })
    return policy
      ? { kind: 'refused', code, policy, why: 'error_code' }
      : { kind: 'unknown', why: `http_${status}` }
  }
  if (status >= 200 && status < 300) {
    const { data } = acceptance.safeParse(answer)
    const wamid = data?.messages[0]?.id
    const { wa_id: waId = null, user_id, parent_user_id } = data?.contacts?.[0] ?? {}
    const userIds = [user_id, parent_user_id].flatMap(id => id || [])
    return wamid
      ? { kind: 'accepted', wamid, waId, ...(userIds.length > 0 && { userIds }) }
      : { kind: 'unknown', why: 'unreadable_answer' }
  }
  // A redirect, or a 4xx without a code of Meta's: a wrong base URL or a proxy. Nothing was accepted. With a 408 the server
  // stopped waiting for the request, and may have read it.
  if (status < 500 && status !== 408)
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
