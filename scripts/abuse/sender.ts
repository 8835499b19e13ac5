/** The real sender amid the abuse, and how what was heard is told. */
import { setTimeout as sleep } from 'node:timers/promises'
import { callBackPush } from '../demo/cdr.ts'
import type { Shop } from '../chaos/target.ts'
import { percentile } from '../chaos/monitor.ts'
import type { Wire } from './wire.ts'

/** What its call ids begin with. */
export const REAL = 'real'
const EVERY_MS = 25

export const JSON_TYPE = { 'content-type': 'application/json' }
export const doorOf = ({ token }: Shop) => `/webhooks/voicenter/cdr?token=${token}`
export const count = (counts: Map<string, number>, what: string | number) =>
  counts.set(String(what), (counts.get(String(what)) ?? 0) + 1)
export const told = (counts: Map<string, number>): string =>
  [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, n]) => `${what}: ${n}`)
    .join(', ') || 'none'
export const seconds = (from: number): string =>
  `${((performance.now() - from) / 1000).toFixed(1)} s`

/** Posts records of its own all the time, from the address from which the attack comes. */
export const realSender = (wire: Wire, shop: Shop) => {
  const answers = new Map<string, number>()
  const took: number[] = []
  let posts = 0
  let going = true
  const send = async () => {
    while (going) {
      // A call-back, so that nothing follows from it.
      const record = callBackPush({ caller: shop.line, ivruniqueid: `${REAL}${posts++}` })
      const { status, ms } = await wire.send({
        path: doorOf(shop),
        headers: { ...JSON_TYPE, 'x-forwarded-for': '203.0.113.7' },
        body: Buffer.from(JSON.stringify(record)),
      })
      count(answers, status)
      took.push(ms)
      await sleep(EVERY_MS)
    }
  }
  const sent = send()
  return {
    stop: async () => {
      going = false
      await sent
      const ms = (share: number) => `${percentile(took, share).toFixed(1)} ms`
      return {
        posts,
        wrong:
          answers.size === 1 && answers.has('200')
            ? []
            : [`the real sender heard ${told(answers)}`],
        line: `${posts} posts meanwhile: ${told(answers)}; p50 ${ms(0.5)}, p99 ${ms(0.99)}, max ${ms(1)}`,
      }
    },
  }
}
