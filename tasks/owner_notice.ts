import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claimNotice } from '../app/messages/claim_note.ts'
import { sendMessage } from '../app/messages/send.ts'

/** Tells the owner what a lead did, with her number to tap. */
const ownerNotice: Task = async payload => {
  const { messageId } = payloads.owner_notice.parse(payload)
  await sendMessage('owner_notice', trx => claimNotice(trx, 'owner_notice', messageId), {})
}

export default ownerNotice
