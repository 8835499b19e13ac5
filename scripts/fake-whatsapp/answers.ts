import type { Response } from 'express'
import { envelope, httpStatusOf } from './errors.ts'
import type { Outcome } from './outcomes.ts'
import type { LoggedRequest } from './request-log.ts'

/** A message that was accepted, as far as the answer tells of it. */
export type Accepted = {
  input: string
  waId: string
  wamid: string
  type: 'template' | 'text'
}

/** Answers with one of Meta's error codes. */
export const answerError = (
  res: Response,
  logged: LoggedRequest,
  {
    code,
    details,
    httpStatus,
  }: { code: number; details?: string | undefined; httpStatus?: number | undefined },
) => {
  logged.code = code
  logged.status = httpStatus ?? httpStatusOf(code)
  res.status(logged.status).json(envelope(code, details))
}

const acceptance = (
  { input, waId, wamid, type }: Accepted,
  {
    contacts = true,
    held = false,
    id = true,
  }: { contacts?: boolean; held?: boolean; id?: boolean },
) => ({
  messaging_product: 'whatsapp',
  ...(contacts && { contacts: [{ input, wa_id: waId }] }),
  messages: [
    {
      ...(id && { id: wamid }),
      ...(type === 'template' && {
        message_status: held ? 'held_for_quality_assessment' : 'accepted',
      }),
    },
  ],
})

/** Tells the client what the outcome says it shall be told, true or not. */
export const answer = (
  res: Response,
  logged: LoggedRequest,
  outcome: Outcome,
  accepted: Accepted | undefined,
) => {
  if (outcome.kind === 'hang') return
  if (outcome.kind === 'reset') return void res.socket?.resetAndDestroy()
  if (outcome.kind === 'error') return answerError(res, logged, outcome)
  logged.status = outcome.kind === 'http' ? outcome.status : 200
  res.status(logged.status)
  if (outcome.kind === 'http') return void res.set(outcome.headers).end(outcome.body)
  if (!accepted) throw new Error('an accepted message was to be answered, but there is none')
  if (outcome.kind === 'garbled') return void res.type('json').end('{"messaging_product":"what')
  if (outcome.kind === 'no_id') return void res.json(acceptance(accepted, { id: false }))
  if (outcome.kind === 'accept') {
    const { contacts, held } = outcome
    return void res.json(acceptance(accepted, { contacts, held: held !== undefined }))
  }
  const whole = JSON.stringify(acceptance(accepted, {}))
  res.type('json').set('content-length', String(whole.length))
  res.write(whole.slice(0, 40), () => res.socket?.destroy())
}
