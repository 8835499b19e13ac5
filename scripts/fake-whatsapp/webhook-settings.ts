import { z } from 'zod'
import { signatureModes } from './signature.ts'

/** How one delivery goes out. */
export const deliveryInput = z.strictObject({
  signature: z.enum(signatureModes).optional(),
  /** How often the same bytes are posted ... */
  copies: z.int().min(1).default(1),
  /** ... and whether at the same time, or each after the answer to the one before. */
  together: z.boolean().default(true),
})
export type DeliveryInput = z.input<typeof deliveryInput>

/** Settings for all deliveries. */
export const webhookSettings = z.strictObject({
  signature: z.enum(signatureModes),
  /** The gap before the first resend; it doubles from one to the next. */
  firstGapMs: z.number().min(0),
  tries: z.int().min(1),
  /** How long an answer may take. */
  answerMs: z.number().min(1),
})
export type WebhookSettings = z.output<typeof webhookSettings>

/** What of the settings shall change. */
export const webhookChanges = z.strictObject({
  signature: webhookSettings.shape.signature.exactOptional(),
  firstGapMs: webhookSettings.shape.firstGapMs.exactOptional(),
  tries: webhookSettings.shape.tries.exactOptional(),
  answerMs: webhookSettings.shape.answerMs.exactOptional(),
})

/** Meta resends for up to 7 days; here the whole series takes 25 seconds. */
export const usualWebhooks: WebhookSettings = {
  signature: 'signed',
  firstGapMs: 200,
  tries: 8,
  answerMs: 10_000,
}
