import express from 'express'
import { createAccounts } from './accounts.ts'
import { control } from './control.ts'
import type { FakeWhatsApp } from './fake.ts'
import { failed, unknownPath } from './fallback.ts'
import { graph } from './graph.ts'
import { createInbound } from './inbound.ts'
import { createListener } from './listener.ts'
import { createScripts } from './outcomes.ts'
import { pageRoutes } from './page-routes.ts'
import { createPending } from './pending.ts'
import { createPeople } from './people.ts'
import { createReception } from './reception.ts'
import { createRequestLog } from './request-log.ts'
import { createStatuses } from './statuses.ts'
import { verify } from './verification.ts'
import { createWebhooks } from './webhooks.ts'

/** Starts a fake WhatsApp Cloud API on loopback; port 0 takes a free one. */
export const startFakeWhatsApp = async ({
  port = 0,
}: { port?: number } = {}): Promise<FakeWhatsApp> => {
  const pending = createPending()
  const accounts = createAccounts()
  const scripts = createScripts()
  const requests = createRequestLog(accounts)
  const people = createPeople()
  const webhooks = createWebhooks(pending)
  const statuses = createStatuses(accounts, people, webhooks, pending)
  const reception = createReception(people, statuses, pending)
  const inbound = createInbound(accounts, people, webhooks)
  let reopening: NodeJS.Timeout | undefined

  const app = express()
  app.disable('x-powered-by')
  const listener = await createListener(app, port)

  const numberOf = (phoneNumberId: string) => inbound.numberFor(phoneNumberId)
  const idsOf = (holds: (number: ReturnType<typeof numberOf>) => boolean) =>
    accounts
      .numbers()
      .filter(holds)
      .map(({ phoneNumberId }) => phoneNumberId)

  const acceptConnections = async () => {
    clearTimeout(reopening)
    await listener.accept()
  }

  const fake: FakeWhatsApp = {
    url: listener.url,
    addNumber: accounts.addNumber,
    numbers: accounts.numbers,
    addTemplate: accounts.addTemplate,
    setPerson: ({ phone, ...changes }) => people.change(phone, changes),
    openWindow: ({ phone, phoneNumberId }) =>
      people.openWindow(phone, inbound.numberFor(phoneNumberId, phone), Date.now()),
    closeWindow: ({ phone, phoneNumberId }) =>
      people.closeWindow(phone, inbound.numberFor(phoneNumberId, phone)),

    script: scripts.add,
    clearScripts: scripts.clear,
    setStatuses: statuses.setUsual,
    setWebhooks: webhooks.configure,
    holdWebhooks: webhooks.hold,
    releaseWebhooks: ({ order = 'same', ...delivery } = {}) => webhooks.release(order, delivery),
    refuseConnections: async forMs => {
      clearTimeout(reopening)
      await listener.refuse()
      if (forMs !== undefined) reopening = setTimeout(() => void listener.accept(), forMs)
    },
    acceptConnections,

    inbound: inbound.play,
    sendStatus: async (wamid, step) => {
      const message = people.message(wamid)
      if (!message) throw new Error('no such message', { cause: { wamid } })
      return statuses.sendOne(message, step)
    },
    verify: (phoneNumberId, token) => verify(numberOf(phoneNumberId), token),

    requests: requests.all,
    inbox: people.inbox,
    accepted: people.accepted,
    lines: people.lines,
    people: () =>
      people.everybody().map(person => ({
        ...person,
        openWindows: idsOf(number => people.windowIsOpen(person.phone, number, Date.now())),
        stoppedMarketing: idsOf(number => people.hasStopped(person.phone, number)),
      })),
    deliveries: webhooks.deliveries,
    idle: pending.idle,
    reset: async () => {
      pending.drop()
      for (const { clear } of [scripts, requests, people, webhooks, statuses]) clear()
      await acceptConnections()
    },
    close: async () => {
      clearTimeout(reopening)
      pending.close()
      await listener.close()
    },
  }

  app.use(graph(accounts, scripts, requests, people, reception))
  app.use('/control', control(fake))
  app.use(pageRoutes(fake))
  app.use(unknownPath)
  app.use(failed)
  return fake
}
