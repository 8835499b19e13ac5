/** The webhook of the design that Ringback replaces: Hono, and one job in Redis before the 200. */
import { endOnSigterm, listen } from './receive.mjs'
import { CDR_QUEUE, openQueue } from './queues.mjs'

const webhookQueue = openQueue(CDR_QUEUE)
await webhookQueue.waitUntilReady()
const server = listen(event => webhookQueue.add('voicenter-cdr', event))
endOnSigterm(server, () => webhookQueue.close())
