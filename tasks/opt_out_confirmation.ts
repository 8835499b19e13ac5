import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claimNotice } from '../app/messages/claim_note.ts'
import { sendMessage } from '../app/messages/send.ts'

/** The one answer to "stop": that we will. */
const optOutConfirmation: Task = async payload => {
  const { messageId } = payloads.opt_out_confirmation.parse(payload)
  await sendMessage(
    'opt_out_confirmation',
    trx => claimNotice(trx, 'opt_out_confirmation', messageId),
    {},
  )
}

export default optOutConfirmation
