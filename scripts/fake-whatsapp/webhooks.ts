import { setTimeout as delay } from 'node:timers/promises'
import type { WhatsAppNumber } from './accounts.ts'
import { inPosts } from './batches.ts'
import type { Pending } from './pending.ts'
import { createSlots } from './slots.ts'
import { deliveryInput, usualWebhooks, webhookSettings } from './webhook-settings.ts'
import type { DeliveryInput, WebhookSettings } from './webhook-settings.ts'
import { signed } from './signature.ts'

/** One update: a `changes[]` element for one business number. */
export type Update = { number: WhatsAppNumber; field: string; value: Record<string, unknown> }

/**
 * Deliveries are concurrent. Without any limit a burst of statuses opened 6,000 connections to one
 * receiver, more than a process may have by default, and tested nothing but the kernel's queue.
 */
const MOST_AT_ONCE = 100

/** One POST to a callback URL, and what became of it. */
export type Delivery = {
  id: number
  url: string
  signature: WebhookSettings['signature']
  updates: number
  /** The bytes as posted; all ASCII unless the mode says otherwise. */
  body: string
  state: 'pending' | 'delivered' | 'given_up'
  attempts: { at: string; ms: number; status?: number; error?: string }[]
}

export type Webhooks = ReturnType<typeof createWebhooks>

/** Delivers updates to the callback URLs, again and again until each is answered with 200. */
export const createWebhooks = (pending: Pending) => {
  let log: Delivery[] = []
  let settings = usualWebhooks
  let held: Update[] | undefined
  const slots = createSlots(MOST_AT_ONCE)
  let made = 0

  const attempt = async (delivery: Delivery, request: RequestInit, signal: AbortSignal) => {
    const started = Date.now()
    const outcome: { status?: number; error?: string } = await fetch(delivery.url, {
      ...request,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(settings.answerMs)]),
    }).then(
      async answer => {
        await answer.body?.cancel()
        return { status: answer.status }
      },
      (error: unknown) => ({ error: String(error) }),
    )
    const at = new Date(started).toISOString()
    delivery.attempts.push({ at, ms: Date.now() - started, ...outcome })
    return outcome.status === 200
  }

  const post = async (updates: Update[], payload: unknown, mode: WebhookSettings['signature']) => {
    const [first] = updates
    if (!first?.number.callbackUrl) return undefined
    const { body, signature } = signed(payload, first.number.appSecret, mode)
    const delivery: Delivery = {
      id: ++made,
      url: first.number.callbackUrl,
      signature: mode,
      updates: updates.length,
      body: body.toString(),
      state: 'pending',
      attempts: [],
    }
    log.push(delivery)
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'facebookexternalua',
      ...(signature && { 'x-hub-signature-256': signature }),
    }
    // Settles after the first answer; the resends go on by themselves and are counted as pending.
    const { promise, resolve } = Promise.withResolvers<void>()
    const series = pending.run(0, async signal => {
      const request = { method: 'POST', headers, body: new Uint8Array(body) }
      for (let tries = 1, gap = settings.firstGapMs; ; tries++, gap *= 2) {
        if (await slots(async () => attempt(delivery, request, signal)))
          delivery.state = 'delivered'
        else if (signal.aborted || tries >= settings.tries) delivery.state = 'given_up'
        resolve()
        if (delivery.state !== 'pending') return
        await delay(gap, undefined, { signal })
      }
    })
    await Promise.race([promise, series])
    return delivery
  }

  /** Posts the updates, as few POSTs as can be; settles when each has been answered once. */
  const send = async (updates: Update[], input: DeliveryInput = {}): Promise<Delivery[]> => {
    if (held) {
      held.push(...updates)
      return []
    }
    const { signature = settings.signature, copies, together } = deliveryInput.parse(input)
    const deliveries: (Delivery | undefined)[] = []
    for (const { part, payload } of inPosts(updates)) {
      if (together) {
        const all = Array.from({ length: copies }, () => post(part, payload, signature))
        deliveries.push(...(await Promise.all(all)))
      } else
        for (let copy = 0; copy < copies; copy++)
          deliveries.push(await post(part, payload, signature))
    }
    return deliveries.filter(delivery => delivery !== undefined)
  }

  return {
    send,
    configure: (changes: Partial<WebhookSettings>) => {
      settings = webhookSettings.parse({ ...settings, ...changes })
    },
    /** From now on nothing is delivered; what would be, is kept. */
    hold: () => {
      held ??= []
    },
    /** Delivers what was kept in as few POSTs as can be, in its order or the reverse. */
    release: async (order: 'same' | 'reversed', input?: DeliveryInput): Promise<Delivery[]> => {
      const updates = held ?? []
      held = undefined
      return send(order === 'same' ? updates : updates.toReversed(), input)
    },
    deliveries: () => [...log],
    clear: () => {
      log = []
      held = undefined
      settings = usualWebhooks
    },
  }
}
