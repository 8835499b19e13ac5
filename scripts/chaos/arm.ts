/**
 * Chaos loads this file into the program (`node --import`). At the failpoint that chaos orders it kills or stops
 * the process, once. Without this file nothing listens to app/failpoints.ts.
 */
import { subscribe } from 'node:diagnostics_channel'
import { z } from 'zod'
import { FAILPOINT_CHANNEL, FAILPOINTS } from '../../app/failpoints.ts'

const order = z.strictObject({
  points: z.array(z.enum(FAILPOINTS)),
  action: z.enum(['kill', 'stop']),
  /** How many passes to ignore first. */
  skip: z.int().min(0),
  /** With 0 the process dies inside the failpoint; with more, during the work after it. */
  afterMs: z.number().min(0),
})
export type Order = z.infer<typeof order>
/** A new order replaces the last one; null withdraws it. */
const message = z.strictObject({ order: order.nullable() })

const tell = process.send?.bind(process)
if (!tell || !process.channel) throw new Error('arm.ts needs npm run chaos as its parent process')

let current: Order | null = null
let toIgnore = 0
process.on('message', received => {
  current = message.parse(received).order
  toIgnore = current?.skip ?? 0
})

const end = (action: Order['action']) =>
  process.kill(process.pid, action === 'stop' ? 'SIGSTOP' : 'SIGKILL')
subscribe(FAILPOINT_CHANNEL, passed => {
  const hit = current?.points.find(point => point === passed)
  if (!current || !hit || toIgnore-- > 0) return
  const { action, afterMs } = current
  current = null
  // `send` writes to the pipe before it returns, so the parent gets the message although this process dies.
  tell({ hit, action })
  if (afterMs === 0) end(action)
  else setTimeout(end, afterMs, action)
})
// When chaos itself is killed, the program must not stay behind.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
// The channel must not keep the program alive.
process.channel.unref()
