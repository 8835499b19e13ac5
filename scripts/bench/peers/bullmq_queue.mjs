/**
 * Looks after the queues from outside, with nothing but REDIS_URL:
 *
 *   node bullmq_queue.mjs count         prints {"cdr": {"waiting": 0, ...}, "outreach": {"delayed": 0, ...}}
 *   node bullmq_queue.mjs fill < FILE   adds one job for each line, a call record as JSON
 */
import { createInterface } from 'node:readline'
import { CDR_QUEUE, openQueue, OUTREACH_QUEUE } from './queues.mjs'

const BATCH = 500

const cdrs = openQueue(CDR_QUEUE)
const outreach = openQueue(OUTREACH_QUEUE)

const fill = async () => {
  let batch = []
  const add = async () => {
    await cdrs.addBulk(batch)
    batch = []
  }
  for await (const line of createInterface(process.stdin)) {
    const payload = JSON.parse(line)
    const receivedAt = new Date().toISOString()
    const data = {
      source: 'voicenter',
      eventId: payload.ivruniqueid,
      eventType: 'cdr',
      payload,
      receivedAt,
    }
    batch.push({ name: 'voicenter-cdr', data })
    if (batch.length === BATCH) await add()
  }
  if (batch.length) await add()
}

const [order] = process.argv.slice(2)
if (order === 'fill') await fill()
else if (order !== 'count') throw new Error('fill or count')
console.log(
  JSON.stringify({ cdr: await cdrs.getJobCounts(), outreach: await outreach.getJobCounts() }),
)
await cdrs.close()
await outreach.close()
