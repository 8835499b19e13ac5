/** What an armed process does when it passes a point. Apart from arm.ts, which has effects when it is loaded. */
import { z } from 'zod'
import { FAILPOINTS } from '../../app/failpoints.ts'

const ACTIONS = ['kill', 'stop', 'abort'] as const
export type Action = (typeof ACTIONS)[number]

/** What the harness wants to happen, once, the next time that one of these points is passed. */
const order = z.strictObject({
  points: z.array(z.enum(FAILPOINTS)),
  action: z.enum(ACTIONS),
  /** Let so many pass before. */
  skip: z.int().min(0),
  /** 0 = in the very moment; later, what comes after the point is under way. */
  afterMs: z.number().min(0),
})
export type Order = z.infer<typeof order>

/** Null takes the last one back. */
const orders = z.strictObject({ order: order.nullable() })

/** What the process tells the harness right before. */
export const hit = z.strictObject({ hit: z.enum(FAILPOINTS), action: z.enum(ACTIONS) })
export type Hit = z.infer<typeof hit>

/** One order at a time; a new one takes the place of the last. */
export const armed = ({
  tell,
  die,
}: {
  tell: (hit: Hit) => void
  die: (action: Action) => void
}) => {
  let current: Order | null = null
  let left = 0
  return {
    order: (message: unknown): void => {
      current = orders.parse(message).order
      left = current?.skip ?? 0
    },
    passed: (message: unknown): void => {
      const point = current?.points.find(one => one === message)
      if (!current || !point || left-- > 0) return
      const { action, afterMs } = current
      tell({ hit: point, action })
      current = null
      if (afterMs === 0) die(action)
      else setTimeout(() => die(action), afterMs)
    },
  }
}
