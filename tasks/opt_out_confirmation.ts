import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claimNote } from '../app/messages/claim_note.ts'
import { deliver } from '../app/messages/deliver.ts'

/** The one answer to "stop": that we will. */
const optOutConfirmation: Task = async payload => {
  const { messageId } = payloads.opt_out_confirmation.parse(payload)
  await deliver(
    'opt_out_confirmation',
    trx => claimNote(trx, 'opt_out_confirmation', messageId),
    {},
  )
}

export default optOutConfirmation
