import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claimNote } from '../app/messages/claim_note.ts'
import { deliver } from '../app/messages/deliver.ts'

/** Tells the owner what a lead did, with her number to tap. */
const ownerNotice: Task = async payload => {
  const { messageId } = payloads.owner_notice.parse(payload)
  await deliver('owner_notice', trx => claimNote(trx, 'owner_notice', messageId), {})
}

export default ownerNotice
