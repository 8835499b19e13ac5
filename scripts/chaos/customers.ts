/** The customers' side: who has a message reads it, and some write back. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FakeWhatsApp } from '../fake_whatsapp/server.ts'
import type { Story } from './stories.ts'

const LOOK_EVERY_MS = 100

export type Customers = ReturnType<typeof newCustomers>

export const newCustomers = (fake: FakeWhatsApp) => {
  const waiting = new Map<string, Story>()
  const received = new Map<string, number>()
  let seen = 0
  let stopped = false
  let written = 0

  const write = async (story: Story): Promise<void> => {
    if (!story.writes || !story.phone) return
    await sleep(story.writes.delayMs)
    written++
    // Its first delivery may fail; the fake sends it again until it is taken.
    await fake.inbound({
      kind: 'text',
      from: story.phone,
      text: story.writes.text,
      phoneNumberId: story.business.phoneNumberId,
    })
  }
  const look = async () => {
    while (!stopped) {
      const accepted = fake.accepted()
      for (const { to, received: arrived } of accepted.slice(seen)) {
        const count = (received.get(to) ?? 0) + (arrived ? 1 : 0)
        received.set(to, count)
        const story = waiting.get(to)
        if (!story?.writes || count < story.writes.afterMessage) continue
        waiting.delete(to)
        void write(story)
      }
      seen = accepted.length
      await sleep(LOOK_EVERY_MS)
    }
  }
  const looked = look()

  return {
    expect: (story: Story): void => {
      if (story.writes && story.phone) waiting.set(story.phone, story)
    },
    written: () => written,
    stop: async () => {
      stopped = true
      await looked
    },
  }
}
