import { setTimeout as delay } from 'node:timers/promises'
import express from 'express'
import type { Request, Response } from 'express'
import { z } from 'zod'
import type { Accounts, WhatsAppNumber } from './accounts.ts'
import { answer, answerError } from './answers.ts'
import { outcome as outcomeSchema } from './outcomes.ts'
import type { Outcome, Scripts } from './outcomes.ts'
import type { Reception } from './reception.ts'
import type { LoggedRequest, RequestLog } from './request-log.ts'
import { judge } from './judge.ts'
import type { Refusal } from './send-request.ts'
import type { People } from './people.ts'
import { reaches } from './phone.ts'

const ordinary = outcomeSchema.parse({ kind: 'accept' })

/** The part of a body by which a script is chosen; anything else may be wrong with it. */
const addressee = z.looseObject({
  to: z.string().optional().catch(undefined),
  template: z.looseObject({ name: z.string() }).optional().catch(undefined),
})

/** Whether the person gets the message, whatever the client is told. */
const accepts = (outcome: Outcome): boolean => !('accept' in outcome) || outcome.accept

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The token must be known at all, and it must be this number's. */
const permission = (
  { authorization }: LoggedRequest,
  number: WhatsAppNumber | undefined,
): Refusal | undefined => {
  if (authorization === 'none' || authorization === 'wrong')
    return { code: 190, details: 'Invalid OAuth access token' }
  if (number?.phoneNumberId !== authorization)
    return { code: 100, details: 'Unsupported post request: no such object, or no permission' }
  return undefined
}

/** `POST /{version}/{phone_number_id}/messages` */
export const graph = (
  accounts: Accounts,
  scripts: Scripts,
  requests: RequestLog,
  people: People,
  reception: Reception,
) => {
  const dropUnread = (req: Request<Params>, res: Response, next: () => void) => {
    const script = scripts.takeUnread(req.params.phoneNumberId)
    if (!script) return next()
    requests.add(req, req.params).outcome = 'reset'
    res.socket?.resetAndDestroy()
  }

  const messages = async (req: Request<Params, unknown, unknown>, res: Response) => {
    const body = parseJson(Buffer.isBuffer(req.body) ? req.body.toString() : '')
    const logged = requests.add(req, req.params, body)
    const number = accounts.number(req.params.phoneNumberId)
    const refused = permission(logged, number)
    if (refused || !number) {
      logged.outcome = 'refused'
      return answerError(res, logged, refused ?? { code: 100 })
    }

    const { data: addressed } = addressee.safeParse(body)
    const script = scripts.take({
      phoneNumberId: number.phoneNumberId,
      to: reaches(addressed?.to ?? '', number.displayNumber),
      template: addressed?.template?.name,
    })
    const outcome = script?.outcome ?? ordinary
    logged.outcome = outcome.kind

    let accepted
    if (accepts(outcome)) {
      const judged = judge(body, number, accounts, people)
      if ('refusal' in judged) {
        logged.outcome = 'refused'
        return answerError(res, logged, judged.refusal)
      }
      const message = await reception.accept(number, judged, outcome, script?.statuses)
      logged.accepted = true
      logged.wamid = message.wamid
      const { waId } = people.person(message.to)
      accepted = { input: judged.request.to, waId, wamid: message.wamid, type: message.type }
    }
    // Not ref'd: a slow answer must not keep a process alive whose server was closed.
    if ('delayMs' in outcome && outcome.delayMs > 0)
      await delay(outcome.delayMs, undefined, { ref: false })
    answer(res, logged, outcome, accepted)
  }

  const router = express.Router()
  const body = express.raw({ type: () => true, limit: '1mb' })
  router.post('/:version/:phoneNumberId/messages', dropUnread, body, (req, res, next) => {
    messages(req, res).catch(next)
  })
  return router
}

type Params = { version: string; phoneNumberId: string }
