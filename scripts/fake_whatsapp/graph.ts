/**
 * What is asked of Graph: a number, the accounts of a token, the numbers of an account. And
 * `POST /{version}/{phone number id}/messages`: checks a request, accepts its message, answers as Meta would or as a
 * script says, and reports the statuses that follow.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import express, { type Request, type RequestHandler, type Response } from 'express'
import { z } from 'zod'
import { checkMessage } from './checks.ts'
import { GraphError, noSuchObject } from './errors.ts'
import { statusUpdate } from './events.ts'
import type { Outcome, Scripts, StatusPlan, StatusStep } from './scripts.ts'
import { type InboxMessage, newWamid, recipientOf, type State, type Template } from './state.ts'
import type { WhatsAppNumber } from './state.ts'
import type { Delivery, Webhooks } from './webhooks.ts'

/** A request to /messages, and its result. */
export type LoggedRequest = {
  at: string
  version: string
  phoneNumberId: string
  headers: IncomingHttpHeaders
  /** The id of the number whose token the request carries, `wrong`, or `none`. The token itself is not kept. */
  authorization: string
  /** The parsed body; its text if it is not JSON. */
  body: unknown
  outcome: Outcome['kind'] | 'refused'
  /** Whether the message was accepted, whatever the answer said. */
  accepted: boolean
  /** The HTTP status of the answer, if there was one, and its error code. */
  status?: number
  code?: number
  wamid?: string
}

type Params = { version: string; phoneNumberId: string }

/** The fields by which a script is chosen. The rest of the body may be wrong. */
const addressee = z.looseObject({
  to: z.string().catch(''),
  template: z.looseObject({ name: z.string() }).optional().catch(undefined),
})

export const graphRoutes = (
  state: State,
  scripts: Scripts,
  webhooks: Webhooks,
  requests: LoggedRequest[],
) => {
  const log = (req: Request<Params>, body: unknown): LoggedRequest => {
    const { version, phoneNumberId } = req.params
    const authorization = tokenOwner(req.headers.authorization, phoneNumberId, state)
    const logged: LoggedRequest = {
      at: new Date().toISOString(),
      version,
      phoneNumberId,
      headers: { ...req.headers, authorization },
      authorization,
      body,
      outcome: 'refused',
      accepted: false,
    }
    requests.push(logged)
    return logged
  }

  const handle = async (req: Request<Params, unknown, unknown>, res: Response) => {
    const body = parseJson(Buffer.isBuffer(req.body) ? req.body.toString() : '')
    const logged = log(req, body)
    try {
      const number = authorize(logged, state)
      const addressed = addressee.safeParse(body).data
      const script = scripts.take({
        phoneNumberId: number.phoneNumberId,
        to: recipientOf(addressed?.to ?? '', number.displayNumber),
        template: addressed?.template?.name,
      })
      const outcome: Outcome = script?.outcome ?? { kind: 'accept' }
      let acceptance: Acceptance | undefined
      if (isAccepted(outcome)) {
        const checked = checkMessage(body, number, state)
        const message = await accept(checked, number, outcome, script?.statuses)
        logged.accepted = true
        logged.wamid = message.wamid
        acceptance = acceptanceOf(message, state)
      }
      logged.outcome = outcome.kind
      // Not ref'd, because a slow answer must not keep a process alive whose server is closed.
      if ('delayMs' in outcome && outcome.delayMs)
        await sleep(outcome.delayMs, undefined, { ref: false })
      if (outcome.kind !== 'hang' && outcome.kind !== 'reset')
        logged.status = outcome.kind === 'http' ? outcome.status : 200
      answer(res, outcome, acceptance)
    } catch (error) {
      if (!(error instanceof GraphError)) throw error
      logged.code = error.code
      logged.status = error.httpStatus
      res.status(error.httpStatus).json(error.body())
    }
  }

  /** From here on the person has the message, whatever the client is told. */
  const accept = async (
    checked: ReturnType<typeof checkMessage>,
    number: WhatsAppNumber,
    outcome: Outcome,
    scripted: StatusPlan | undefined,
  ): Promise<InboxMessage> => {
    const { phoneNumberId, displayNumber: from } = number
    const person = state.person(checked.to)
    if (outcome.kind === 'accept' && outcome.waId) person.waId = outcome.waId
    const plan = (scripted ?? scripts.defaultStatuses).map(stepOf)
    const message: InboxMessage = {
      wamid: newWamid(),
      ...checked,
      from,
      phoneNumberId,
      acceptedAt: new Date().toISOString(),
      received: plan.some(isSeen) || !plan.some(({ status }) => status === 'failed'),
      statuses: [],
    }
    state.messages.set(message.wamid, message)

    for (const step of plan) if (step.beforeResponse) await report(message, step)
    let afterMs = 0
    for (const step of plan) {
      if (step.beforeResponse) continue
      afterMs = step.afterMs ?? afterMs + STEP_MS
      void webhooks.later(afterMs, () => report(message, step))
    }
    return message
  }

  const report = async (message: InboxMessage, step: StatusStep): Promise<Delivery[]> => {
    const { status, code = 131026 } = step
    const at = new Date().toISOString()
    message.statuses.push({ status, at, ...(status === 'failed' && { code }) })
    if (status !== 'failed') message.received = true
    else message.received &&= message.statuses.some(isSeen)
    const number = state.numberFor(message.phoneNumberId)
    return webhooks.send([statusUpdate(number, state.person(message.to), message, step)])
  }

  /** Answers a question that needs a token. */
  const question =
    (answer: (ofToken: WhatsAppNumber[], req: Request<Params>) => object): RequestHandler<Params> =>
    (req, res) => {
      const token = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1]
      const ofToken = [...state.numbers.values()].filter(number => number.token === token)
      try {
        if (ofToken.length === 0) throw new GraphError(190, 'Invalid OAuth access token')
        res.json(answer(ofToken, req))
      } catch (error) {
        if (!(error instanceof GraphError)) throw error
        res.status(error.httpStatus).json(error.body())
      }
    }

  const router = express.Router()
  router.get(
    '/:version/debug_token',
    question((ofToken, { query }) => {
      const asked = [...state.numbers.values()].filter(one => one.token === query['input_token'])
      const seen = asked.filter(one => sees(one.wabaId)(one))
      const target_ids = [...new Set(seen.map(({ wabaId }) => wabaId))]
      const scopes = ['whatsapp_business_management', 'whatsapp_business_messaging']
      const granular_scopes = scopes.map(scope => ({ scope, target_ids }))
      return { data: { is_valid: ofToken.length > 0 && asked.length > 0, scopes, granular_scopes } }
    }),
  )
  router.get(
    '/:version/:phoneNumberId/phone_numbers',
    question((ofToken, { params: { phoneNumberId: account } }) => {
      if (!ofToken.some(sees(account))) throw noSuchObject(account)
      const own = [...state.numbers.values()].filter(({ wabaId }) => wabaId === account)
      return { data: own.map(numberFields) }
    }),
  )
  router.get(
    '/:version/:phoneNumberId/message_templates',
    question((ofToken, { params: { phoneNumberId: account }, query }) => {
      if (!ofToken.some(sees(account))) throw noSuchObject(account)
      const { limit, after } = templatePage.parse(query)
      const all = state.templatesOf(account)
      const page = all.slice(after, after + limit)
      const next = after + page.length
      return {
        data: page.map(templateFields),
        paging: {
          cursors: { before: String(after), after: String(next) },
          ...(next < all.length && { next: 'https://graph.facebook.com/the-same-with-after' }),
        },
      }
    }),
  )
  router.get(
    '/:version/:phoneNumberId',
    question((ofToken, { params: { phoneNumberId } }) => {
      const number = ofToken.find(one => one.phoneNumberId === phoneNumberId)
      if (!number) throw noSuchObject(phoneNumberId)
      return numberFields(number)
    }),
  )
  const readBody = express.raw({ type: () => true, limit: '1mb' })
  const bodyOf = (req: Request<Params>): unknown =>
    parseJson(Buffer.isBuffer(req.body) ? req.body.toString() : '')
  router.post(
    '/:version/:phoneNumberId/message_templates',
    readBody,
    question((ofToken, req) => {
      const { phoneNumberId: account } = req.params
      if (!ofToken.some(sees(account))) throw noSuchObject(account)
      const { id, status, category } = state.createTemplate(account, bodyOf(req))
      return { id, status, category }
    }),
  )
  router.post(
    '/:version/:phoneNumberId',
    readBody,
    question((ofToken, req) => {
      const { phoneNumberId: id } = req.params
      const template = state.templateById(id)
      if (!template || !ofToken.some(({ wabaId }) => wabaId === template.wabaId))
        throw noSuchObject(id)
      state.editTemplate(template, bodyOf(req))
      return { success: true }
    }),
  )
  router.post('/:version/:phoneNumberId/messages', readBody, handle)
  return { router, report }
}

const sees =
  (account: string) =>
  ({ wabaId, seesNoAccount = false }: WhatsAppNumber): boolean =>
    wabaId === account && !seesNoAccount

const numberFields = ({ phoneNumberId, displayNumber, name }: WhatsAppNumber) => ({
  id: phoneNumberId,
  display_phone_number: displayNumber,
  verified_name: name,
})

const templatePage = z.looseObject({
  limit: z.coerce.number().default(25),
  after: z.coerce.number().default(0),
})

const templateFields = ({ buttons, body, ...one }: Template) => ({
  id: one.id,
  name: one.name,
  language: one.language,
  status: one.status,
  category: one.category,
  rejected_reason: one.rejectedReason ?? 'NONE',
  parameter_format: one.parameterFormat,
  components: [
    ...(body === undefined ? [] : [{ type: 'BODY', text: body }]),
    ...(buttons.length === 0
      ? []
      : [
          {
            type: 'BUTTONS',
            buttons: buttons.map(({ type = 'quick_reply', text }) => ({
              type: type.toUpperCase(),
              text,
            })),
          },
        ]),
  ],
})

const STEP_MS = 40

const stepOf = (step: StatusPlan[number]): StatusStep =>
  typeof step === 'string' ? { status: step } : step

const isSeen = ({ status }: Pick<StatusStep, 'status'>): boolean =>
  status === 'delivered' || status === 'read' || status === 'played'

/** Whether the person gets the message, whatever the client is told. */
const isAccepted = (outcome: Outcome): boolean =>
  ['accept', 'cut', 'garbled', 'no_id'].includes(outcome.kind) ||
  ('accept' in outcome && outcome.accept === true)

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const tokenOwner = (sent: string | undefined, phoneNumberId: string, state: State): string => {
  if (!sent) return 'none'
  const token = /^Bearer (.+)$/i.exec(sent)?.[1]
  if (state.numbers.get(phoneNumberId)?.token === token) return phoneNumberId
  const owner = state.numbers.values().find(number => number.token === token)
  return owner?.phoneNumberId ?? 'wrong'
}

/** @throws GraphError if the token is unknown, or not the token of this number */
const authorize = ({ authorization, phoneNumberId }: LoggedRequest, state: State) => {
  if (authorization === 'none' || authorization === 'wrong')
    throw new GraphError(190, 'Invalid OAuth access token')
  const number = state.numbers.get(phoneNumberId)
  if (!number || authorization !== phoneNumberId) throw noSuchObject(phoneNumberId)
  return number
}

type Acceptance = { messaging_product: string; contacts?: object[]; messages: object[] }

const acceptanceOf = ({ wamid, to, written, type }: InboxMessage, state: State): Acceptance => ({
  messaging_product: 'whatsapp',
  contacts: [{ input: written, wa_id: state.person(to).waId, user_id: state.person(to).userId }],
  messages: [{ id: wamid, ...(type === 'template' && { message_status: 'accepted' }) }],
})

/** @throws GraphError for an `error` */
const answer = (res: Response, outcome: Outcome, acceptance: Acceptance | undefined): void => {
  switch (outcome.kind) {
    case 'accept':
      if (acceptance && outcome.contacts === false) delete acceptance.contacts
      return void res.json(acceptance)
    case 'error':
      throw new GraphError(outcome.code, undefined, outcome.httpStatus)
    case 'http':
      res.status(outcome.status).set(outcome.headers ?? { 'content-type': 'text/html' })
      return void res.end(outcome.body ?? '<html><body><h1>Error</h1></body></html>')
    case 'hang':
      return
    case 'reset':
      return void res.socket?.resetAndDestroy()
    case 'cut': {
      const whole = JSON.stringify(acceptance)
      res.type('json').set('content-length', String(whole.length))
      return void res.write(whole.slice(0, 40), () => res.socket?.destroy())
    }
    case 'garbled':
      return void res.type('json').end('{"messaging_product":"what')
    case 'no_id':
      res.json({ ...acceptance, messages: [{ message_status: 'accepted' }] })
  }
}
