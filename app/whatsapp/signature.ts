import { createHmac, timingSafeEqual } from 'node:crypto'

/** Whether there is anything to check: without, not a byte of the body is read. */
export const claimsSignature = (header: string | undefined): boolean => SIGNATURE.test(header ?? '')

const SIGNATURE = /^sha256=([0-9a-f]{64})$/

/**
 * Whether these bytes were signed with our app secret (Meta, "Webhooks: getting started", X-Hub-Signature-256).
 * Over the bytes as they came: Meta escapes its JSON in its own way, so what is parsed and written again
 * has another signature.
 */
export const isSigned = (body: Buffer, header: string | undefined, appSecret: string): boolean => {
  // The form is checked first: Buffer.from(…, 'hex') stops silently at the first wrong digit.
  const claimed = SIGNATURE.exec(header ?? '')?.[1]
  if (!claimed) return false
  return timingSafeEqual(
    Buffer.from(claimed, 'hex'),
    createHmac('sha256', appSecret).update(body).digest(),
  )
}
