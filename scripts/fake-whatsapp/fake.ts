import type { NumberInput, Template, TemplateInput, WhatsAppNumber } from './accounts.ts'
import type { InboundEventInput } from './events.ts'
import type { Inbound } from './inbound.ts'
import type { ScriptInput } from './outcomes.ts'
import type { InboxMessage, Line, Person } from './people.ts'
import type { LoggedRequest } from './request-log.ts'
import type { StatusPlanInput, StatusStepInput } from './status-plan.ts'
import type { Verification } from './verification.ts'
import type { DeliveryInput, WebhookSettings } from './webhook-settings.ts'
import type { Delivery } from './webhooks.ts'

/** A person, and how she stands with each business number (ids of numbers). */
export type KnownPerson = Person & { openWindows: string[]; stoppedMarketing: string[] }

/** A pair of person and business number; by default the number that wrote to her last. */
export type Pair = { phone: string; phoneNumberId?: string | undefined }

/**
 * A fake WhatsApp Cloud API on loopback. All state is in memory. Every method is also there as
 * `POST {url}/control/{method}`, with what it takes as one JSON object; see control.ts.
 */
export type FakeWhatsApp = {
  /** The base URL, for WHATSAPP_GRAPH_URL. */
  url: string

  // What there is.

  /** Adds a number, or changes the one with this `phoneNumberId`. What is not given is made up. */
  addNumber: (input?: NumberInput) => WhatsAppNumber
  numbers: () => WhatsAppNumber[]
  /** Once an account has a template, it knows only those; before, every name is accepted. */
  addTemplate: (input: TemplateInput) => Template
  /** Gives a person a name, a `wa_id` or a user id of your choice. */
  setPerson: (changes: { phone: string } & Partial<Person>) => Person
  openWindow: (pair: Pair) => void
  closeWindow: (pair: Pair) => void

  // What shall happen.

  /** What the next calls that fit will meet, and which statuses follow. */
  script: (input: ScriptInput) => void
  clearScripts: () => void
  /** The statuses that follow where no script says otherwise; at first `sent`, `delivered`. */
  setStatuses: (plan: StatusPlanInput) => void
  /** Signature, resends and time limit of all webhook deliveries. */
  setWebhooks: (changes: Partial<WebhookSettings>) => void
  /** From now on updates are kept, not delivered; `idle()` does not wait for them. */
  holdWebhooks: () => void
  /** Delivers what was kept in as few POSTs as can be. */
  releaseWebhooks: (
    how?: DeliveryInput & { order?: 'same' | 'reversed' | undefined },
  ) => Promise<Delivery[]>
  /** Connections are refused until `acceptConnections()`, or for the time given. */
  refuseConnections: (forMs?: number) => Promise<void>
  acceptConnections: () => Promise<void>

  // What happens now.

  /**
   * Plays what a person, an owner or Meta does. Several events go into as few POSTs as can be,
   * also those of several businesses. Settles when each POST has been answered once, with
   * whatever; resends go on behind it.
   */
  inbound: (
    events: InboundEventInput | InboundEventInput[],
    delivery?: DeliveryInput,
  ) => Promise<Inbound>
  /** One more status of an accepted message. */
  sendStatus: (wamid: string, step: StatusStepInput) => Promise<Delivery[]>
  /** Meta's GET verification of a number's callback URL, with its own token or another one. */
  verify: (phoneNumberId: string, token?: string) => Promise<Verification>

  // What has happened.

  /** All requests to /messages. */
  requests: () => LoggedRequest[]
  /** What this person (E.164) really got, whatever the sender was told. */
  inbox: (phone: string) => InboxMessage[]
  /** Every message accepted, also those that failed later or are held. */
  accepted: () => InboxMessage[]
  /** What the person and the owner said by hand. */
  lines: (phone: string) => Line[]
  people: () => KnownPerson[]
  /** The log of webhook deliveries, with every attempt. */
  deliveries: () => Delivery[]
  /** Resolves once no status and no delivery is pending. */
  idle: () => Promise<void>
  /** Forgets all that happened, drops what is pending, undoes all settings; numbers and templates stay. */
  reset: () => Promise<void>
  /** Ends at once, also with hanging requests. */
  close: () => Promise<void>
}
