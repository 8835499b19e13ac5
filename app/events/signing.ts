/** The signatures of outgoing events, as Standard Webhooks specifies them. A receiver checks them with any of its libraries. */
import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'

export const newSecret = (): string => `${PREFIX}${randomBytes(32).toString('base64')}`

const signatureOf = (secret: string, signed: string): string => {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
}

/**
 * @param secrets during a rotation the new one and the one before
 * @param at when this attempt begins. A receiver refuses a message whose time is more than some minutes ago
 */
export const signatureHeaders = (
  secrets: readonly string[],
  { id, at, body }: { id: string; at: Date; body: string },
): Record<string, string> => {
  const timestamp = String(Math.floor(at.getTime() / 1000))
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': secrets
      .map(secret => signatureOf(secret, `${id}.${timestamp}.${body}`))
      .join(' '),
  }
}
