import type { Accounts, WhatsAppNumber } from './accounts.ts'
import { webhookError } from './errors.ts'
import type { Pending } from './pending.ts'
import type { InboxMessage, People } from './people.ts'
import { statusPlan, statusStep, usualStatuses } from './status-plan.ts'
import type { StatusPlan, StatusPlanInput, StatusStep } from './status-plan.ts'
import type { Delivery, Update, Webhooks } from './webhooks.ts'

/** The distance between two steps that name none, in milliseconds. */
const STEP = 40

const metadataOf = ({ displayNumber, phoneNumberId }: WhatsAppNumber) => ({
  display_phone_number: displayNumber.slice(1),
  phone_number_id: phoneNumberId,
})

const statusUpdate = (
  number: WhatsAppNumber,
  message: InboxMessage,
  recipientId: string,
  step: StatusStep,
): Update => ({
  number,
  field: 'messages',
  value: {
    messaging_product: 'whatsapp',
    metadata: metadataOf(number),
    statuses: [
      {
        id: message.wamid,
        status: step.status,
        timestamp: String(Math.floor(Date.now() / 1000 - step.agoSeconds)),
        recipient_id: recipientId,
        ...(step.callbackData &&
          message.biz_opaque_callback_data !== undefined && {
            biz_opaque_callback_data: message.biz_opaque_callback_data,
          }),
        ...(step.status === 'failed'
          ? { errors: [webhookError(step.code)] }
          : {
              pricing: {
                billable: true,
                pricing_model: 'PMP',
                type: 'regular',
                category: message.template?.category ?? 'service',
              },
            }),
        ...step.fields,
      },
    ],
  },
})

export type Statuses = ReturnType<typeof createStatuses>

/** What WhatsApp reports on a message once it was accepted. */
export const createStatuses = (
  accounts: Accounts,
  people: People,
  webhooks: Webhooks,
  pending: Pending,
) => {
  let usual = usualStatuses

  const emit = async (message: InboxMessage, step: StatusStep): Promise<Delivery[]> => {
    message.statuses.push({
      status: step.status,
      at: new Date().toISOString(),
      ...(step.status === 'failed' && { code: step.code }),
    })
    if (step.status === 'failed') message.received &&= message.statuses.some(isSeen)
    else message.received = true
    const number = accounts.number(message.phoneNumberId)
    if (!number) return []
    const { waId } = people.person(message.to)
    const { copies, together } = step
    return webhooks.send([statusUpdate(number, message, waId, step)], { copies, together })
  }

  return {
    /** The statuses of messages for which nothing else is said. */
    setUsual: (plan: StatusPlanInput) => {
      usual = statusPlan.parse(plan)
    },
    usual: (): StatusPlan => usual,
    /** Sends the whole plan; settles when those due before the response have been answered. */
    follow: async (message: InboxMessage, plan: StatusPlan): Promise<void> => {
      const early = plan.filter(({ beforeResponse }) => beforeResponse)
      for (const step of early) await emit(message, step)
      let afterMs = 0
      for (const step of plan.filter(({ beforeResponse }) => !beforeResponse)) {
        afterMs = step.afterMs ?? afterMs + STEP
        void pending.run(afterMs, async () => void (await emit(message, step)))
      }
    },
    /** Sends one more status for a message, at any time. */
    sendOne: async (message: InboxMessage, input: unknown): Promise<Delivery[]> =>
      emit(message, statusStep.parse(input)),
    clear: () => {
      usual = usualStatuses
    },
  }
}

const isSeen = ({ status }: { status: StatusStep['status'] }): boolean =>
  status === 'delivered' || status === 'read' || status === 'played'

/** Whether a message with this plan reaches its person at all. */
export const reachesPerson = (plan: StatusPlan): boolean =>
  plan.some(isSeen) || !plan.some(({ status }) => status === 'failed')
