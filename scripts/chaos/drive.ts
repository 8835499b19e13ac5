import { setTimeout as sleep } from 'node:timers/promises'
import type { Failpoint } from '../../app/failpoints.ts'
import type { Customers } from './customers.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Stage } from './stage.ts'
import { type Story, storyteller } from './stories.ts'
import type { Vendor } from './vendor.ts'
import type { Watch } from './watch.ts'

const SECOND = 1000

/** Traffic goes on at this pace while faults are still to come. */
const CDRS_A_SECOND_AFTERWARDS = 6
/** No new story begins while more than this waits: a slow machine takes longer, and shows the same. */
const MOST_WAITING = 80
/** The stories that lead to messages of this kind. */
const PASSED_BY: Record<string, string[]> = {
  lead_outreach: ['missed'],
  lead_reminder: ['missed'],
  owner_notice: ['missed, replies', 'missed three times'],
  opt_out_confirmation: ['missed, opts out'],
}
/** While only few points are still to be killed at: the stories that lead past them. */
const storiesPast = (points: Failpoint[]): string[] =>
  points.length > FEW ? [] : points.flatMap(point => PASSED_BY[point.split(':')[0] ?? ''] ?? [])
const FEW = 16
/** After this share of the records nothing begins that takes minutes to end. */
const LATE = 0.5

/** Makes stories happen at the pace of the plan, and then at a walk as long as somebody needs traffic. */
export const driving = (
  plan: Plan,
  stage: Stage,
  vendor: Vendor,
  customers: Customers,
  seen: Watch,
  random: Random,
) => {
  const { next } = storyteller(stage.businesses, random)
  const told: Promise<void>[] = []
  const people = new Map<string, Set<string>>()

  const tell = async (story: Story) => {
    for (const script of story.graph) stage.fake.script(script)
    customers.expect(story)
    for (const post of story.posts) {
      await sleep(post.afterMs)
      await vendor.post(post)
    }
  }
  const traffic = async (goOn: () => boolean, rare: () => Failpoint[]) => {
    let due = Date.now()
    let planned = 0
    while (goOn()) {
      const isPlanned = planned < plan.cdrs
      const pace = isPlanned ? plan.cdrs / plan.seconds : CDRS_A_SECOND_AFTERWARDS
      // What is still missing is led past by those who pass there.
      const story = next({
        isLate: planned > LATE * plan.cdrs,
        favoured: storiesPast(rare()),
      })
      if (story.phone)
        people.set(story.phone, new Set(story.posts.map(({ business }) => business.tenantId)))
      told.push(tell(story))
      const posts = story.posts.reduce((sum, { atOnce }) => sum + atOnce, 0)
      planned += posts
      due = Math.max(due, Date.now() - SECOND) + (posts / pace) * SECOND
      while ((Date.now() < due || seen.waiting().length > MOST_WAITING) && goOn())
        await sleep(Math.min(50, Math.max(5, due - Date.now())))
    }
    return people
  }
  return {
    traffic,
    told: async () => void (await Promise.all(told)),
  }
}
