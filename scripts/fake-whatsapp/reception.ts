import type { WhatsAppNumber } from './accounts.ts'
import type { Outcome } from './outcomes.ts'
import type { Pending } from './pending.ts'
import { newWamid } from './people.ts'
import type { InboxMessage, People } from './people.ts'
import type { Content, SendRequest } from './send-request.ts'
import { statusPlan } from './status-plan.ts'
import type { StatusPlan } from './status-plan.ts'
import { reachesPerson } from './statuses.ts'
import type { Statuses } from './statuses.ts'

/** Marketing to somebody who stopped it is accepted, and fails afterwards (Meta, 2025-11). */
const stoppedMarketing = statusPlan.parse([{ status: 'failed', code: 131050 }])
/** A held template that was found bad is dropped (Meta, template pacing page). */
const droppedTemplate = statusPlan.parse([{ status: 'failed', code: 132015, afterMs: 0 }])

export type Reception = ReturnType<typeof createReception>

/** Takes a message over: from here on the person has it, whatever the client is told. */
export const createReception = (people: People, statuses: Statuses, pending: Pending) => ({
  accept: async (
    number: WhatsAppNumber,
    { request, to, content }: { request: SendRequest; to: string; content: Content },
    outcome: Outcome,
    scripted: StatusPlan | undefined,
  ): Promise<InboxMessage> => {
    if (outcome.kind === 'accept' && outcome.waId) people.change(to, { waId: outcome.waId })
    const held = outcome.kind === 'accept' ? outcome.held : undefined
    const stopped = content.template?.category === 'marketing' && people.hasStopped(to, number)
    const plan = scripted ?? (stopped ? stoppedMarketing : statuses.usual())
    const message: InboxMessage = {
      wamid: newWamid(),
      to,
      from: number.displayNumber,
      phoneNumberId: number.phoneNumberId,
      ...content,
      ...(request.biz_opaque_callback_data !== undefined && {
        biz_opaque_callback_data: request.biz_opaque_callback_data,
      }),
      acceptedAt: new Date().toISOString(),
      received: !held && reachesPerson(plan),
      statuses: [],
    }
    people.accept(message)
    if (!held) await statuses.follow(message, plan)
    else
      void pending.run(held.afterMs, async () => {
        message.received = held.end === 'released' && reachesPerson(plan)
        await statuses.follow(message, held.end === 'released' ? plan : droppedTemplate)
      })
    return message
  },
})
