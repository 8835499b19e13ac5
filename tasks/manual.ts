import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claim } from '../app/messages/claim.ts'
import { manualReply } from '../app/messages/kinds.ts'
import { record } from '../app/messages/record.ts'
import { send } from '../app/messages/send.ts'

/** Sends what the tenant wrote by hand. Safe to run twice. */
const manual: Task = async payload => {
  const { messageId } = payloads.manual.parse(payload)
  const message = await claim(manualReply(messageId))
  if (message) await record(message, await send(message))
}

export default manual
