/** A fake WhatsApp Cloud API on loopback, with all state in memory. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import express, { type ErrorRequestHandler } from 'express'
import { GraphError } from './errors.ts'
import { updateFor, type WebhookEvent } from './events.ts'
import { graphRoutes, type LoggedRequest } from './graph.ts'
import { pageRoutes } from './page.ts'
import { createScripts, type StatusPlan, type StatusStep } from './scripts.ts'
import { createState, newWamid, type Person } from './state.ts'
import { createWebhooks, type Delivery } from './webhooks.ts'

export type FakeWhatsApp = Awaited<ReturnType<typeof startFakeWhatsApp>>

/** @param wantedPort of loopback; 0 = a free one */
export const startFakeWhatsApp = async (wantedPort = 0) => {
  const state = createState()
  const scripts = createScripts()
  const webhooks = createWebhooks()
  const requests: LoggedRequest[] = []
  const graph = graphRoutes(state, scripts, webhooks, requests)

  /**
   * Plays what a person, an owner or Meta does. Several events go into as few POSTs as possible, also those of
   * several businesses. Settles after the first attempt of each POST; retries go on in the background.
   */
  const inbound = async (
    input: WebhookEvent | WebhookEvent[],
    { copies }: { copies?: number } = {},
  ): Promise<{ ids: string[]; deliveries: Delivery[] }> => {
    const events = [input].flat()
    const ids = events.map(event => ('id' in event && event.id) || newWamid())
    const updates = events.map((event, at) => updateFor(state, event, ids[at] ?? ''))
    return { ids, deliveries: await webhooks.send(updates, { copies }) }
  }

  /** What Meta does when the callback URL is entered in its dashboard. @returns whether it is verified */
  const verify = async (phoneNumberId: string): Promise<boolean> => {
    const { callbackUrl, verifyToken } = state.numberFor(phoneNumberId)
    if (!callbackUrl) return false
    const challenge = newWamid()
    const query = new URLSearchParams({
      'hub.mode': 'subscribe',
      'hub.challenge': challenge,
      'hub.verify_token': verifyToken,
    })
    try {
      const answer = await fetch(`${callbackUrl}?${query.toString()}`, {
        signal: AbortSignal.timeout(5000),
      })
      return answer.status === 200 && (await answer.text()) === challenge
    } catch {
      return false // Nothing answers there yet.
    }
  }

  const sendStatus = async (wamid: string, step: StatusStep): Promise<Delivery[]> => {
    const message = state.messages.get(wamid)
    if (!message) throw new Error('no such message', { cause: { wamid } })
    return graph.report(message, step)
  }

  const app = express()
  app.disable('x-powered-by')
  app.use(pageRoutes(state, inbound))
  app.use(graph.router)
  app.use((req, res) => {
    const error = new GraphError(2500, `Unknown path components: ${req.path}`)
    res.status(error.httpStatus).json(error.body())
  })
  app.use(fail)
  const listener = await listen(createServer(app), wantedPort)

  return {
    url: listener.url,

    /** Adds a number, or changes the one with this `phoneNumberId`. Fields that are not given are made up. */
    addNumber: state.addNumber,
    numbers: () => [...state.numbers.values()],
    /** Adds a template. An account with a template accepts no other names; an account without one accepts all. */
    addTemplate: state.addTemplate,
    removeTemplate: state.removeTemplate,
    templates: state.templatesOf,
    /** What Meta decides about templates that are submitted. */
    setReview: state.setReview,
    setPerson: ({ phone, ...changes }: Pick<Person, 'phone'> & Partial<Person>): Person =>
      Object.assign(state.person(phone), changes),
    /** Lets the business send free text to this person for 24 hours, as if the person had written. */
    openWindow: ({ phone, phoneNumberId }: { phone: string; phoneNumberId: string }) =>
      void state.person(phone).wroteAt.set(phoneNumberId, Date.now()),

    script: scripts.add,
    clearScripts: scripts.clear,
    /** The statuses of messages whose script names none; at first `sent` and `delivered`. */
    setStatuses: (plan: StatusPlan) => void (scripts.defaultStatuses = plan),
    /** Retries and time limit of all webhook deliveries. */
    setWebhooks: webhooks.configure,
    /** Refuses connections until `acceptConnections()`, or for the given time. */
    refuseConnections: listener.refuse,
    acceptConnections: listener.accept,

    inbound,
    verify,
    sendStatus,

    requests: () => [...requests],
    /** The messages that this person (E.164) received, whatever the sender was told. */
    inbox: state.inbox,
    /** Every accepted message, also those that failed later. */
    accepted: () => [...state.messages.values()],
    people: () => [...state.people.values()],
    deliveries: webhooks.deliveries,
    /** Resolves when no status and no delivery is pending. */
    idle: webhooks.idle,
    /** Ends at once, also while requests hang. */
    close: async () => {
      webhooks.close()
      await listener.close()
    },
  }
}

/** Listens on loopback, and can stop and start again on the same port. */
const listen = async (server: ReturnType<typeof createServer>, wantedPort: number) => {
  let port = wantedPort
  let reopening: NodeJS.Timeout | undefined
  const accept = async () => {
    clearTimeout(reopening)
    if (server.listening) return
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address && typeof address === 'object') port = address.port
  }
  // Once the port is closed, a kept-alive connection must not carry another request.
  server.on('request', (_req, res) =>
    res.on('close', () => {
      if (!server.listening) server.closeIdleConnections()
    }),
  )
  await accept()

  return {
    url: `http://127.0.0.1:${port}`,
    accept,
    /** New connections are refused. Requests that are being answered go on. */
    refuse: async (forMs?: number) => {
      clearTimeout(reopening)
      if (server.listening) server.close()
      // Clients in this process need a moment to notice that their idle connections are closed.
      await sleep(20)
      if (forMs !== undefined) reopening = setTimeout(() => void accept(), forMs)
    },
    close: async () => {
      clearTimeout(reopening)
      const closed = server.listening && once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** A fault of the fake itself, which must not look like an answer of Meta. */
const fail: ErrorRequestHandler = (error: unknown, req, res, next) => {
  // A client that went away while its request was read is not a fault.
  if (req.destroyed || res.headersSent) return next(error)
  console.error('fake WhatsApp:', error)
  res.status(500).send(`fake WhatsApp: ${String(error)}`)
}
