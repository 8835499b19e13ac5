/** The traffic of a run: phone systems that post CDRs until they are acknowledged, and callers who reply. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Failpoint } from '../../app/failpoints.ts'
import type { Environment, Tenant } from './environment.ts'
import { count } from './monitor.ts'
import { newOwner } from './owner.ts'
import type { Random } from './random.ts'
import { type PopupFields, sendPopup } from '../fake_voicenter/popup.ts'
import { type LiveCall, type Post, type Reply, type Scenario, scenarioMaker } from './scenarios.ts'

const SECOND = 1000

/** Longer than the program's own deadline, after which it answers 503. */
const ANSWER_LIMIT_MS = 12 * SECOND
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 2 * SECOND
/** The body is sent again: it could not be stored, or it seemed to arrive slowly because the program was stopped meanwhile. */
const AGAIN = [503, 408]

/** A stored body: where it is kept, the tenant of its token (null: unbound), and the hash of its bytes. */
export type Stored = { kept: 'raw' | 'rejected'; tenantId: string | null; hash: string }
export const keyOf = ({ kept, tenantId, hash }: Stored): string => `${kept} ${tenantId} ${hash}`
/** How many times a body was acknowledged: with 200, or with 400 if it must be in `rejected_deliveries`. */
export type Promised = Stored & { what: string; acknowledged: number }

export type Sender = ReturnType<typeof newSender>

/** Posts each body until it gets a final answer. @param url of the program or of the router */
export const newSender = (url: string) => {
  const promised = new Map<string, Promised>()
  const stats = {
    posts: 0,
    unanswered: 0,
    answers: new Map<string, number>(),
    wrongAnswers: [] as string[],
    acknowledgedIn: [] as number[],
    /** Milliseconds since 1970. */
    acknowledgedAt: [] as number[],
  }
  let stopped = false

  const attempt = async ({ tenant, token, body, contentType }: Post): Promise<number | null> => {
    const started = performance.now()
    const status = await fetch(
      `${url}/webhooks/voicenter/cdr?token=${token ?? tenant.webhookToken}`,
      {
        method: 'POST',
        headers: { 'content-type': contentType },
        body: new Uint8Array(body),
        signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      },
    )
      .then(response => response.arrayBuffer().then(() => response.status))
      .catch(() => null)
    if (status === 200) {
      stats.acknowledgedIn.push(performance.now() - started)
      stats.acknowledgedAt.push(Date.now())
    }
    return status
  }
  const acknowledge = ({ what, tenant, token, parts }: Post): void => {
    for (const { bytes, kept } of parts) {
      if (token) throw new Error('an invalid token must not be acknowledged')
      const tenantId = tenant.bound ? tenant.tenantId : null
      const hash = createHash('sha256').update(bytes).digest('hex')
      const key = keyOf({ kept, tenantId, hash })
      const known = promised.get(key) ?? { what, kept, tenantId, hash, acknowledged: 0 }
      known.acknowledged++
      promised.set(key, known)
    }
  }
  const postUntilAnswered = async (post: Post): Promise<void> => {
    for (let pause = FIRST_RETRY_MS; !stopped; pause = Math.min(2 * pause, LAST_RETRY_MS)) {
      const status = await attempt(post)
      count(stats.answers, String(status ?? 'no answer'))
      if (status !== null && post.answers.includes(status)) return acknowledge(post)
      if (status !== null && !AGAIN.includes(status)) {
        stats.wrongAnswers.push(`${status} instead of ${post.answers.join(' or ')}: ${post.what}`)
        // A retry does not change a 4xx. It is a violation, and the run continues.
        if (status < 500) return
      }
      await sleep(pause * (0.5 + Math.random()))
    }
  }

  return {
    stats,
    promised: () => [...promised.values()],
    post: async (post: Post): Promise<void> => {
      stats.posts += post.times
      stats.unanswered += post.times
      const one = () => postUntilAnswered(post).finally(() => void stats.unanswered--)
      await Promise.all(Array.from({ length: post.times }, one))
    },
    stop: () => {
      stopped = true
    },
  }
}

/** The pace after the planned CDRs, while faults are still to come. */
const LATER_CDRS_PER_SECOND = 6
/** No scenario starts while more work than this waits: on a slow machine the run takes longer and proves the same. */
const MOST_WAITING = 80
/** While more failpoints than this are wanted, any scenario is useful. */
const FEW_FAILPOINTS = 16
/** In this time before the last planned CDR no scenario starts that takes minutes. */
const LATE_SECONDS = 45

/** Plays scenarios: posts their CDRs, and lets callers reply once they have received enough messages. */
export const newTraffic = (
  plan: { cdrs: number; seconds: number },
  { tenants, fake, database, env }: Pick<Environment, 'tenants' | 'fake' | 'database' | 'env'>,
  sender: Sender,
  random: Random,
) => {
  const nextScenario = scenarioMaker(tenants, random)
  const playing: Promise<void>[] = []
  /** Every caller, with the tenants that they called. */
  const called = new Map<string, Set<string>>()
  const owner = newOwner({ env, database })
  const willReply = new Map<string, Scenario>()
  const received = new Map<string, number>()
  let seen = 0
  let replies = 0
  let popupEvents = 0
  /** Calls on WhatsApp that the program acknowledged, or will. */
  const whatsAppCalls: { tenantId: string; callId: string }[] = []
  let stopped = false

  const isStored = async ({ ivrid, status }: PopupFields): Promise<boolean> => {
    const { rows } = await database
      .query('select from live_calls where call_id = $1 and phase = $2', [
        ivrid,
        status.toLowerCase(),
      ])
      .catch(() => ({ rows: [] }))
    return rows.length > 0
  }
  /** After a fault the answer is 200 as well, so the database says whether an event was stored. Voicenter would not repeat it. */
  const report = async (event: PopupFields, { popupToken }: Tenant): Promise<void> => {
    while (!stopped) {
      popupEvents++
      const url = `${env.PUBLIC_URL}/webhooks/voicenter/popup?token=${popupToken}`
      await sendPopup(url, event).catch(() => {})
      if (await isStored(event)) return
      await sleep(SECOND)
    }
  }
  const playLive = async (live: readonly LiveCall[], from: string | null, tenant: Tenant) => {
    for (const one of live) {
      await sleep(one.afterMs)
      if ('event' in one) await report(one.event, tenant)
      else if (from) {
        const { phoneNumberId, tenantId } = tenant
        await fake.inbound({ kind: 'call', with: from, id: one.wacid, phoneNumberId })
        whatsAppCalls.push({ tenantId, callId: one.wacid })
      }
    }
  }
  const play = async (scenario: Scenario) => {
    for (const script of scenario.graph) fake.script(script)
    if (scenario.phone && scenario.reply) willReply.set(scenario.phone, scenario)
    playing.push(playLive(scenario.live, scenario.phone, scenario.tenant))
    for (const post of scenario.posts) {
      await sleep(post.afterMs)
      await sender.post(post)
    }
  }
  const sendReply = async (
    from: string,
    { text, delayMs, answers }: Reply,
    { phoneNumberId, tenantId }: Tenant,
  ) => {
    await sleep(delayMs)
    replies++
    // The first delivery may fail; the fake repeats it until the program takes it.
    await fake.inbound({ kind: 'text', from, text, phoneNumberId })
    await owner.answer(tenantId, from, answers)
  }
  const watchMessages = async () => {
    for (; !stopped; await sleep(100)) {
      const accepted = fake.accepted()
      for (const { to, received: arrived } of accepted.slice(seen)) {
        if (arrived) count(received, to)
        const { reply, tenant } = willReply.get(to) ?? {}
        if (!reply || !tenant || (received.get(to) ?? 0) < reply.afterMessage) continue
        willReply.delete(to)
        playing.push(sendReply(to, reply, tenant))
      }
      seen = accepted.length
    }
  }
  const watching = watchMessages()

  return {
    called,
    whatsAppCalls,
    byHand: owner.acknowledged,
    refusedByHand: owner.refused,
    popupEvents: () => popupEvents,
    replies: () => replies,
    /**
     * Starts scenarios at the planned pace, then slowly for as long as `goOn` says.
     *
     * @param waiting how much work waits for the program
     * @param wanted the failpoints at which kills are missing
     */
    run: async (goOn: () => boolean, waiting: () => number, wanted: () => Failpoint[]) => {
      let due = Date.now()
      let planned = 0
      while (goOn()) {
        const pace = planned < plan.cdrs ? plan.cdrs / plan.seconds : LATER_CDRS_PER_SECOND
        const points = wanted()
        const isLate = planned > plan.cdrs * (1 - LATE_SECONDS / plan.seconds)
        const scenario = nextScenario(points.length > FEW_FAILPOINTS ? [] : points, isLate)
        const { phone, posts } = scenario
        const receivers = [scenario.tenant, ...posts.map(({ tenant }) => tenant)]
        if (phone) called.set(phone, new Set(receivers.map(({ tenantId }) => tenantId)))
        playing.push(play(scenario))
        const requests = posts.reduce((sum, { times }) => sum + times, 0)
        planned += requests
        due = Math.max(due, Date.now() - SECOND) + (requests / pace) * SECOND
        while ((Date.now() < due || waiting() > MOST_WAITING) && goOn())
          await sleep(Math.min(50, Math.max(5, due - Date.now())))
      }
    },
    finished: async () => {
      // Each scenario adds its live calls to the list when it begins.
      for (let known = 0; known < playing.length;) {
        known = playing.length
        await Promise.all(playing)
      }
    },
    stop: async () => {
      stopped = true
      owner.stop()
      await watching
    },
  }
}
