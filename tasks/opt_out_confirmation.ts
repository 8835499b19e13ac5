import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claim } from '../app/messages/claim.ts'
import { notice } from '../app/messages/kinds.ts'
import { record } from '../app/messages/record.ts'
import { send } from '../app/messages/send.ts'

/** Confirms an opt-out, once, to a person who wrote "stop". Safe to run twice. */
const optOutConfirmation: Task = async payload => {
  const { messageId } = payloads.opt_out_confirmation.parse(payload)
  const message = await claim(notice('opt_out_confirmation', messageId))
  if (message) await record(message, await send(message))
}

export default optOutConfirmation
