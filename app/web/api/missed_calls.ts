/** /missed-calls: the actions on the messages of a missed call. */
import { z } from 'zod'
import type { Trx } from '../../db/kysely.ts'
import { cancelOutreach, sendNow } from '../../outreach/operator_actions.ts'
import { OUTREACH_STATES } from '../../states.ts'
import { id, route, rowId, time } from './route.ts'

const outreach = {
  id: rowId,
  outreach_state: z.enum(OUTREACH_STATES),
  outreach_reason: z.string(),
  outreach_due_at: time.nullable(),
}

const outreachNow = (trx: Trx, tenantId: string, missedCallId: string) =>
  trx
    .selectFrom('missed_calls')
    .select(['id', 'outreach_state', 'outreach_reason', 'outreach_due_at'])
    .where('id', '=', missedCallId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()

export const missedCalls = [
  route({
    method: 'post',
    path: '/missed-calls/{id}/cancel',
    name: 'cancelOutreach',
    summary: 'Cancel the messages of a missed call',
    description:
      '`result` is `cancelled` (no message was sent, and none will be), `reminders_stopped` (the first message was sent, and no reminder follows) or `nothing_to_cancel`.',
    request: z.object({ id }),
    answer: z.object({
      ...outreach,
      result: z.enum(['cancelled', 'reminders_stopped', 'nothing_to_cancel']),
    }),
    act: async (trx, { tenantId, actor }, { id: missedCallId }) => {
      const result = await cancelOutreach(trx, actor, { tenantId, missedCallId })
      const RESULTS = {
        cancelled: 'cancelled',
        'reminders stopped': 'reminders_stopped',
        'nothing to cancel': 'nothing_to_cancel',
      } as const
      return { ...(await outreachNow(trx, tenantId, missedCallId)), result: RESULTS[result] }
    },
  }),
  route({
    method: 'post',
    path: '/missed-calls/{id}/send-now',
    name: 'sendNow',
    summary: 'Send a waiting first message at once',
    description: 'All conditions are checked again before it is sent.',
    request: z.object({ id }),
    answer: z.object(outreach),
    problems: ['not_waiting', 'quiet'],
    act: async (trx, { tenantId, actor }, { id: missedCallId }) => {
      await sendNow(trx, actor, { tenantId, missedCallId })
      return outreachNow(trx, tenantId, missedCallId)
    },
  }),
]
