import { createServer } from 'node:http'
import { once } from 'node:events'
import { z } from 'zod'
import type { WhatsAppNumber } from '../../scripts/fake-whatsapp/accounts.ts'
import type { FakeWhatsApp } from '../../scripts/fake-whatsapp/fake.ts'

/** Somebody who calls and gets messages. */
export const dana = '+972501234567'
export const yossi = '+972521112222'

/** A template message as the service sends it. */
export const template = (to: string, name = 'ringback_missed_call', texts: string[] = []) => ({
  messaging_product: 'whatsapp',
  recipient_type: 'individual',
  to,
  type: 'template',
  biz_opaque_callback_data: '17',
  template: {
    name,
    language: { code: 'he' },
    components: [{ type: 'body', parameters: texts.map(text => ({ type: 'text', text })) }],
  },
})

export const freeText = (to: string, body: string) => ({
  messaging_product: 'whatsapp',
  to,
  type: 'text',
  text: { body },
})

/** Posts a body to /messages, as a client with a time limit of 300 ms. */
export const post = async (
  fake: FakeWhatsApp,
  { phoneNumberId, token }: Pick<WhatsAppNumber, 'phoneNumberId' | 'token'>,
  body: unknown,
): Promise<Response> =>
  fetch(`${fake.url}/v26.0/${phoneNumberId}/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    redirect: 'manual',
    signal: AbortSignal.timeout(1500),
  })

const failure = z.object({ error: z.object({ code: z.number() }) })

/** The Graph code in an answer, if there is one. */
export const codeOf = async (answer: Response): Promise<number | undefined> => {
  const text = await answer.text()
  if (!text.startsWith('{"error"')) return undefined
  return failure.parse(JSON.parse(text)).error.code
}

const items = z.array(z.record(z.string(), z.unknown())).optional()
const payload = z.object({
  object: z.literal('whatsapp_business_account'),
  entry: z.array(
    z.object({
      id: z.string(),
      changes: z.array(
        z.object({
          field: z.string(),
          value: z.looseObject({
            metadata: z.looseObject({ phone_number_id: z.string() }).optional(),
            contacts: items,
            messages: items,
            statuses: items,
          }),
        }),
      ),
    }),
  ),
})

export type Received = { at: number; signature: string | undefined; bytes: Buffer }

/** A callback URL that keeps what it gets, and answers with the statuses given, then with 200. */
export const startReceiver = async (
  answers: number[] = [],
  onReceived: (received: Received) => Promise<void> | void = () => {},
) => {
  const received: Received[] = []
  const server = createServer((req, res) => {
    const read = async () => {
      const bytes = Buffer.concat(await req.toArray())
      const signature = req.headers['x-hub-signature-256']
      const one = { at: Date.now(), bytes, signature: signature?.toString() }
      received.push(one)
      await onReceived(one)
      res.writeHead(answers.shift() ?? 200).end()
    }
    read().catch((error: unknown) => res.destroy(new Error('not received', { cause: error })))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/webhooks`,
    received,
    /** The updates received so far, parsed, with the account each stands under. */
    changes: () =>
      received.flatMap(({ bytes }) =>
        payload
          .parse(JSON.parse(bytes.toString()))
          .entry.flatMap(({ id, changes }) => changes.map(change => ({ ...change, waba: id }))),
      ),
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
