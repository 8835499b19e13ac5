import { randomInt } from 'node:crypto'
import type { WhatsAppNumber } from './accounts.ts'

/** What a callback URL said to Meta's verification, and whether Meta would take it. */
export type Verification = { ok: boolean; status: number; body: string }

/** Asks a callback URL to prove itself; it must repeat the bare challenge (Meta, 2025-11). */
export const verify = async (
  { callbackUrl, verifyToken, phoneNumberId }: WhatsAppNumber,
  token: string = verifyToken,
): Promise<Verification> => {
  if (!callbackUrl) throw new Error('the number has no callback URL', { cause: { phoneNumberId } })
  const challenge = String(randomInt(1e9, 2e9))
  const url = new URL(callbackUrl)
  url.searchParams.set('hub.mode', 'subscribe')
  url.searchParams.set('hub.challenge', challenge)
  url.searchParams.set('hub.verify_token', token)
  const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(10_000) })
  const body = await answer.text()
  return { ok: answer.status === 200 && body === challenge, status: answer.status, body }
}
