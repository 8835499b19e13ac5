/** Sends webhooks as Meta does: in batches, signed, and again until the receiver answers 200. */
import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WhatsAppNumber } from './state.ts'

/** One update: an element of `changes[]`, for one business number. */
export type Update = { number: WhatsAppNumber; field: string; value: Record<string, unknown> }

/** One POST to a callback URL, with a number of updates. */
export type Delivery = {
  url: string
  updates: number
  body: string
  state: 'pending' | 'delivered' | 'given_up'
  attempts: { at: string; status?: number; error?: string }[]
}

export type WebhookSettings = {
  /** Milliseconds before the first retry. Each further gap is twice as long. */
  firstGapMs: number
  tries: number
  answerMs: number
}

/** Meta puts up to 1,000 updates and 3 MB into one POST (Meta, webhooks overview). */
const MAX_UPDATES = 1000
const MAX_BYTES = 3_000_000

/**
 * Without a limit, a burst of statuses opened 6,000 connections to one receiver. That is more than a process
 * may have by default, and it tested only the queue of the kernel.
 */
const MAX_CONCURRENT = 100

export type Webhooks = ReturnType<typeof createWebhooks>

export const createWebhooks = () => {
  const deliveries: Delivery[] = []
  // Meta retries for up to 7 days. Here all tries take 25 seconds.
  const settings: WebhookSettings = { firstGapMs: 200, tries: 8, answerMs: 10_000 }
  const limited = limit(MAX_CONCURRENT)
  const stopped = new AbortController()
  const { signal } = stopped
  let running = 0

  /** Runs the work in the background. `idle` waits for it, and `close` drops it. */
  const later = async (ms: number, work: () => Promise<unknown>): Promise<void> => {
    running++
    try {
      if (ms > 0) await sleep(ms, undefined, { signal })
      await work()
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      running--
    }
  }

  const attempt = async (delivery: Delivery, appSecret: string): Promise<void> => {
    const { url, body, attempts } = delivery
    const signature = createHmac('sha256', appSecret).update(body).digest('hex')
    const result: Delivery['attempts'][number] = { at: new Date().toISOString() }
    attempts.push(result)
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'facebookexternalua',
          'x-hub-signature-256': `sha256=${signature}`,
        },
        body,
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(settings.answerMs)]),
      })
      result.status = answer.status
      await answer.body?.cancel()
    } catch (error) {
      result.error = String(error)
    }
    if (result.status === 200) delivery.state = 'delivered'
    else if (signal.aborted || attempts.length >= settings.tries) delivery.state = 'given_up'
  }

  /** Settles after the first attempt. The retries go on in the background. */
  const post = async (updates: Update[], { callbackUrl, appSecret }: WhatsAppNumber) => {
    if (!callbackUrl) return []
    const delivery: Delivery = {
      url: callbackUrl,
      updates: updates.length,
      body: asciiJson(payloadOf(updates)),
      state: 'pending',
      attempts: [],
    }
    deliveries.push(delivery)
    const first = Promise.withResolvers<void>()
    const all = later(0, async () => {
      for (let gap = settings.firstGapMs; ; gap *= 2) {
        await limited(() => attempt(delivery, appSecret))
        first.resolve()
        if (delivery.state !== 'pending') return
        await sleep(gap, undefined, { signal })
      }
    })
    await Promise.race([first.promise, all])
    return [delivery]
  }

  return {
    later,
    /** Posts the updates in as few POSTs as possible; settles after the first attempt of each. */
    send: async (updates: Update[], { copies = 1 } = {}): Promise<Delivery[]> => {
      const posts: Promise<Delivery[]>[] = []
      for (const { number, batch } of batchesOf(updates))
        for (let copy = 0; copy < copies; copy++) posts.push(post(batch, number))
      return (await Promise.all(posts)).flat()
    },
    configure: (changes: Partial<WebhookSettings>) => void Object.assign(settings, changes),
    deliveries: () => [...deliveries],
    /** Resolves when no delivery and no status is pending. */
    idle: async () => {
      while (running > 0) await sleep(5)
    },
    close: () => stopped.abort(),
  }
}

/** ASCII characters that Meta escapes although JSON does not require it. */
const ESCAPES: Record<string, string> = {
  '/': String.raw`\/`,
  '@': String.raw`\u0040`,
  '<': String.raw`\u003C`,
  '%': String.raw`\u0025`,
}

/**
 * JSON as Meta writes it: all characters outside ASCII as \uxxxx in lower-case hex, and some ASCII characters
 * escaped too. Meta signs these bytes. A receiver that signs the output of its own JSON.stringify fails
 * on Hebrew, emoji and links (whatsapp-api-js issues 290 and 380, nyaruka/courier issue 371). None of
 * these characters occurs in JSON outside of strings.
 */
export const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[/@<%\u0080-\uffff]/g,
    found => ESCAPES[found] ?? String.raw`\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** Splits updates into POSTs. Numbers with the same callback URL and app secret share a POST. */
const batchesOf = (updates: Update[]): { number: WhatsAppNumber; batch: Update[] }[] => {
  const batches: { number: WhatsAppNumber; batch: Update[] }[] = []
  const appOf = ({ number }: Update) => JSON.stringify([number.callbackUrl, number.appSecret])
  for (const ofApp of Map.groupBy(updates, appOf).values()) {
    let batch: Update[] = []
    let bytes = 0
    for (const update of ofApp) {
      const size = asciiJson(update.value).length
      if (batch.length === 0 || batch.length === MAX_UPDATES || bytes + size > MAX_BYTES) {
        batch = []
        bytes = 0
        batches.push({ number: update.number, batch })
      }
      batch.push(update)
      bytes += size
    }
  }
  return batches
}

/**
 * The body of one POST: an `entry` for each account, and in it the changes. Updates of the same kind and number share
 * a change, so that its `messages[]` or `statuses[]` has several elements.
 */
const payloadOf = (updates: Update[]) => ({
  object: 'whatsapp_business_account',
  entry: [...Map.groupBy(updates, ({ number }) => number.wabaId)].map(([id, ofAccount]) => ({
    id,
    time: Math.floor(Date.now() / 1000),
    changes: [...Map.groupBy(ofAccount, mergeKey).values()].map(merge),
  })),
})

/** Updates are merged if everything but their lists is equal. An update without a list stays alone. */
const mergeKey = (update: Update): unknown => {
  const fields = Object.entries(update.value)
  if (!fields.some(([, value]) => Array.isArray(value))) return update
  const rest = fields.map(([name, value]) => [name, Array.isArray(value) ? [] : value])
  return JSON.stringify([update.field, rest])
}

const merge = (updates: Update[]): { field: string | undefined; value: unknown } => {
  const { field, value = {} } = updates[0] ?? {}
  const fields = Object.entries(value).map(([name, one]) => [
    name,
    Array.isArray(one) ? updates.flatMap(update => update.value[name]) : one,
  ])
  return { field, value: Object.fromEntries(fields) }
}

/** Runs at most `most` pieces of work at once. The others wait, first come, first served. */
const limit = (most: number) => {
  const waiting: (() => void)[] = []
  let running = 0

  return async (work: () => Promise<void>): Promise<void> => {
    if (running < most) running++
    else await new Promise<void>(resume => void waiting.push(resume))
    await work()
    // The slot goes to the next in line directly, so that no newcomer takes it in between.
    const next = waiting.shift()
    if (next) next()
    else running--
  }
}
