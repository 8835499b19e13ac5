import { z } from 'zod'

const statusName = z.enum(['sent', 'delivered', 'read', 'played', 'failed'])

/** One status that follows an accepted message. */
export const statusStep = z.strictObject({
  status: statusName,
  /** Milliseconds after acceptance; by default 40 more than the step before. */
  afterMs: z.number().min(0).optional(),
  /** For `failed`: why. */
  code: z.int().default(131026),
  /** How often it is delivered ... */
  copies: z.int().min(1).default(1),
  /** ... and whether the copies come at the same time, or one after the other. */
  together: z.boolean().default(true),
  /** Delivered, and answered, before the client gets its response to the send. */
  beforeResponse: z.boolean().default(false),
  /** Whether `biz_opaque_callback_data` is echoed. */
  callbackData: z.boolean().default(true),
  /** How long ago it happened, for a status that comes days late. */
  agoSeconds: z.number().min(0).default(0),
  /** Put over the status object as it would be: to add, or to spoil. */
  fields: z.record(z.string(), z.unknown()).default({}),
})
/** A step as a caller writes it: the status alone will do. */
export type StatusStepInput = z.input<typeof statusStep>
export type StatusStep = z.output<typeof statusStep>

/** The statuses of a message, each a name or a whole step. An empty list: none at all. */
export const statusPlan = z.array(
  z.union([statusName.transform(status => statusStep.parse({ status })), statusStep]),
)
export type StatusPlanInput = z.input<typeof statusPlan>
export type StatusPlan = z.output<typeof statusPlan>

/** What follows a message when nothing else was said. */
export const usualStatuses: StatusPlan = statusPlan.parse(['sent', 'delivered'])
