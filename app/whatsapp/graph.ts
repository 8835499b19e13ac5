/** Requests to Meta's Graph API, except those that send a message (client.ts). */
import { z } from 'zod'
import { config } from '../config.ts'

/** A page of a hundred templates has some hundred kilobytes. */
const MAX_ANSWER_BYTES = 1024 * 1024

const refusal = z.object({
  error: z.object({
    code: z.number(),
    error_subcode: z.number().optional().catch(undefined),
    message: z.string().optional().catch(undefined),
    error_user_msg: z.string().optional().catch(undefined),
  }),
})
export type Refusal = z.infer<typeof refusal>['error']

/** The error in an answer of Graph's. Undefined = the answer is none. */
export const refusalIn = (answer: unknown): Refusal | undefined =>
  refusal.safeParse(answer).data?.error

/**
 * Sends one request: GET, or POST if there is a body. It never throws.
 *
 * @returns the answer as JSON, also if it is an error. Null = no answer of Graph's: the caller treats every failure alike
 */
export const requestGraph = async (
  path: string,
  { token, signal, body }: { token: string; signal: AbortSignal; body?: unknown },
): Promise<unknown> => {
  const { WHATSAPP_GRAPH_URL: base, WHATSAPP_GRAPH_VERSION: version } = config()
  try {
    const response = await fetch(`${base}/${version}/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: 'manual',
      signal,
    })
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > MAX_ANSWER_BYTES) return null
      chunks.push(chunk)
    }
    const answer: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    return answer
  } catch {
    return null
  }
}
