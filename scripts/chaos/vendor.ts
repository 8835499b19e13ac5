/** The exchange's side: posts every record until it is acknowledged, and keeps the book of what it was told. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Post } from './stories.ts'

/** Longer than the program's own deadline, so that it is the program that says 503. */
const PATIENCE_MS = 12_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2000

/** What was sent of one record to one sender's door, and what was promised about it. */
export type Promised = {
  what: string
  kept: 'raw' | 'rejected'
  /** Null = the token was unbound. */
  tenantId: string | null
  hash: string
  /** How often it was acknowledged: 200, or 400 of what is kept aside. */
  acknowledged: number
}

export type Vendor = ReturnType<typeof newVendor>

/** The name of a part: whose door, where it must be kept, and its bytes. */
export const keyOf = (kept: string, tenantId: string | null, hash: string): string =>
  `${kept} ${tenantId} ${hash}`

/** @param url of the router in front of the copies */
export const newVendor = (url: string) => {
  const promised = new Map<string, Promised>()
  const acknowledgedIn: number[] = []
  const wrongAnswers: string[] = []
  const answers = new Map<string, number>()
  let posts = 0
  let open = 0
  let stopped = false

  const attempt = async (post: Post): Promise<number | null> => {
    const started = performance.now()
    try {
      const response = await fetch(
        `${url}/webhooks/voicenter/cdr?token=${post.token ?? post.business.token}`,
        {
          method: 'POST',
          headers: { 'content-type': post.contentType },
          body: new Uint8Array(post.body),
          signal: AbortSignal.timeout(PATIENCE_MS),
        },
      )
      await response.arrayBuffer()
      if (response.status === 200) acknowledgedIn.push(performance.now() - started)
      return response.status
    } catch {
      return null
    }
  }

  const until = async (post: Post): Promise<void> => {
    for (let pause = FIRST_PAUSE_MS; !stopped; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const status = await attempt(post)
      count(answers, String(status ?? 'no answer'))
      if (status !== null && post.fits.includes(status)) {
        for (const { bytes, kept } of post.parts) promise(post, bytes, kept)
        return
      }
      if (status !== null && status !== 503)
        wrongAnswers.push(`${status} instead of ${post.fits.join(' or ')}: ${post.what}`)
      // Something else is not going to help; it is a violation, and the run goes on.
      if (status !== null && status < 500) return
      await sleep(pause * (0.5 + Math.random()))
    }
  }
  const promise = ({ what, business, token }: Post, bytes: Buffer, kept: 'raw' | 'rejected') => {
    if (token) throw new Error('nothing is promised to a stranger')
    const tenantId = business.bound ? business.tenantId : null
    const hash = createHash('sha256').update(bytes).digest('hex')
    const key = keyOf(kept, tenantId, hash)
    const known = promised.get(key)
    if (known) known.acknowledged++
    else promised.set(key, { what, kept, tenantId, hash, acknowledged: 1 })
  }

  return {
    /** Posts it, as often at once as it says; resolves when each has its final answer. */
    post: async (post: Post): Promise<void> => {
      posts += post.atOnce
      open += post.atOnce
      await Promise.all(
        Array.from({ length: post.atOnce }, () => until(post).finally(() => void open--)),
      )
    },
    /** Whatever has no final answer yet never gets one. */
    stop: () => {
      stopped = true
    },
    posts: () => posts,
    unanswered: () => open,
    promised: () => [...promised.values()],
    /** Milliseconds of every 200. */
    acknowledgedIn: () => acknowledgedIn,
    answers: () => answers,
    wrongAnswers: () => wrongAnswers,
  }
}

export const count = <Key>(counts: Map<Key, number>, key: Key): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
