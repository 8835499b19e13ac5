import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claim } from '../app/messages/claim.ts'
import { notice } from '../app/messages/kinds.ts'
import { record } from '../app/messages/record.ts'
import { send } from '../app/messages/send.ts'

/** Tells the owner what a lead did, with the number to tap. Safe to run twice. */
const ownerNotice: Task = async payload => {
  const { messageId } = payloads.owner_notice.parse(payload)
  const message = await claim(notice('owner_notice', messageId))
  if (message) await record(message, await send(message))
}

export default ownerNotice
