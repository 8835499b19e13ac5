import express from 'express'
import type { ErrorRequestHandler, Router } from 'express'
import { z } from 'zod'
import { numberInput, templateInput } from './accounts.ts'
import { inboundEvent } from './events.ts'
import type { FakeWhatsApp } from './fake.ts'
import { scriptInput } from './outcomes.ts'
import { e164 } from './phone.ts'
import { statusPlan, statusStep } from './status-plan.ts'
import { deliveryInput, webhookChanges } from './webhook-settings.ts'

const pair = z.strictObject({ phone: e164, phoneNumberId: z.string().optional() })
const person = z.strictObject({
  phone: e164,
  name: z.string().exactOptional(),
  waId: z.string().exactOptional(),
  userId: z.string().exactOptional(),
})
const order = z.enum(['same', 'reversed']).optional()

const call = <T>(schema: z.ZodType<T>, run: (input: T) => unknown) => ({
  run: (input: unknown) => run(schema.parse(input)),
})
const bare = (run: () => unknown) => ({ run })

/** The methods of the fake by name, each with the schema of the one object it is called with. */
const calls = (fake: FakeWhatsApp) => {
  return new Map(
    Object.entries({
      addNumber: call(numberInput, fake.addNumber),
      addTemplate: call(templateInput, fake.addTemplate),
      setPerson: call(person, fake.setPerson),
      openWindow: call(pair, fake.openWindow),
      closeWindow: call(pair, fake.closeWindow),
      script: call(scriptInput, fake.script),
      clearScripts: bare(fake.clearScripts),
      setStatuses: call(z.strictObject({ plan: statusPlan }), ({ plan }) => fake.setStatuses(plan)),
      setWebhooks: call(webhookChanges, changes => fake.setWebhooks(changes)),
      holdWebhooks: bare(fake.holdWebhooks),
      releaseWebhooks: call(deliveryInput.extend({ order }), fake.releaseWebhooks),
      acceptConnections: bare(fake.acceptConnections),
      inbound: call(
        z.strictObject({ events: z.array(inboundEvent), delivery: deliveryInput.optional() }),
        ({ events, delivery }) => fake.inbound(events, delivery),
      ),
      sendStatus: call(z.strictObject({ wamid: z.string(), step: statusStep }), ({ wamid, step }) =>
        fake.sendStatus(wamid, step),
      ),
      verify: call(
        z.strictObject({ phoneNumberId: z.string(), token: z.string().optional() }),
        ({ phoneNumberId, token }) => fake.verify(phoneNumberId, token),
      ),
      numbers: bare(fake.numbers),
      requests: bare(fake.requests),
      inbox: call(z.strictObject({ phone: e164 }), ({ phone }) => fake.inbox(phone)),
      lines: call(z.strictObject({ phone: e164 }), ({ phone }) => fake.lines(phone)),
      accepted: bare(fake.accepted),
      people: bare(fake.people),
      deliveries: bare(fake.deliveries),
      idle: bare(fake.idle),
      reset: bare(fake.reset),
    }),
  )
}

const wrong: ErrorRequestHandler = (error: unknown, _req, res, _next) => {
  const message = error instanceof z.ZodError ? z.prettifyError(error) : String(error)
  res.status(400).json({ error: message })
}

/**
 * The fake's methods over HTTP, for those who run it as a process of its own:
 * `POST /control/{method}` with a JSON object, or GET with a query; answers with what the method
 * returns, as JSON. 404 for a method that is not there, 400 with the reason for a wrong input.
 */
export const control = (fake: FakeWhatsApp): Router => {
  const router = express.Router()
  const methods = calls(fake)
  router.use(express.json({ limit: '10mb' }))

  // Apart from the rest because its answer must be out before the port closes. Without an end it
  // could not be taken back from outside.
  router.post('/refuseConnections', (req, res) => {
    const { forMs } = z.strictObject({ forMs: z.number().min(1) }).parse(req.body)
    res.on('close', () => void fake.refuseConnections(forMs))
    res.set('connection', 'close').json(null)
  })

  router.all('/:method', (req, res, next) => {
    const method = methods.get(req.params.method)
    if (!method) {
      res.status(404).json({ error: 'no such method', methods: [...methods.keys()] })
      return
    }
    const input: unknown = req.method === 'GET' ? req.query : (req.body ?? {})
    Promise.try(() => method.run(input))
      .then(result => res.json(result ?? null))
      .catch(next)
  })
  router.use(wrong)
  return router
}
