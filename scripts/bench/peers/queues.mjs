/**
 * The two queues of the BullMQ design, and how it reaches Redis.
 *
 * BullMQ makes the connections by its own documentation: `maxRetriesPerRequest: null` where workers use them, one
 * connection per queue, which every `add` in flight shares. Not set: enableAutoPipelining, for BullMQ's maintainer
 * does not expect it to work with BullMQ, and users met jobs missing from the active list (taskforcesh/bullmq#457,
 * #1127). Finished jobs are removed, so that Redis does not fill up.
 */
import { Queue } from 'bullmq'

export const CDR_QUEUE = 'voicenter-cdr'
export const OUTREACH_QUEUE = 'lead-outreach'

export const connection = { url: process.env.REDIS_URL, maxRetriesPerRequest: null }

const defaultJobOptions = { attempts: 3, removeOnComplete: true, removeOnFail: 1000 }

export const openQueue = name => {
  const queue = new Queue(name, { connection, defaultJobOptions })
  queue.on('error', error => console.error(error))
  return queue
}
