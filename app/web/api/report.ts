/** /report: the figures of a period. */
import { z } from 'zod'
import { loadLift } from '../../outreach/control_group.ts'
import { figuresOf } from '../../outreach/owner_summaries.ts'
import { problem } from './problem.ts'
import { moment, route, time } from './route.ts'

const DAY_MS = 24 * 60 * 60_000
const DEFAULT_DAYS = 30

const share = z.number().nullable()
const arm = z.object({ callers: z.int(), recovered: z.int(), rate: share })

const lift = z
  .object({
    outreach: arm.describe(
      '`callers` to whom a first message was due; `recovered`: those who were reached by phone or wrote within 48 hours; `rate`.',
    ),
    holdout: arm.describe('The same of the control group, to whom nothing was sent.'),
    lift: share.describe(
      'The rate of outreach less the rate of holdout. Null = one has no callers.',
    ),
    low: share.describe('The start of its 95 % interval.'),
    high: share.describe('The end of it.'),
    enough: z
      .boolean()
      .describe('False = there is not enough data yet, and the figures say nothing.'),
  })
  .meta({ id: 'Lift' })

export const report = [
  route({
    method: 'get',
    path: '/report',
    name: 'getReport',
    summary: 'Get the figures of a period',
    description: `The last ${DEFAULT_DAYS} days, unless \`since\` and \`until\` say otherwise.`,
    request: z.object({
      query: z.strictObject({
        since: moment.optional().describe('The start.'),
        until: moment.optional().describe('The end, which is not included.'),
      }),
    }),
    answer: z
      .object({
        since: time,
        until: time,
        missed: z.int().describe('Missed calls.'),
        written_to: z.int().describe('Of these, with a first message that was sent.'),
        replied: z
          .int()
          .describe('Of these, that ended with a message of the caller, before any talk.'),
        reached: z
          .int()
          .describe(
            'Of these, that ended with a talk, or with the mark "called back". A talk or a mark after a message of the caller, or after the outreach was cancelled, is not counted: each call has one end.',
          ),
        won: z.int().describe('People whose outcome was set to won within the period.'),
        value: z.number().describe('The sum of their values.'),
        lift: lift
          .nullable()
          .describe('The effect of the messages. Null = there is no control group.'),
      })
      .meta({ id: 'Report' }),
    act: async (trx, { tenantId }, { query }) => {
      const until = query.until ?? new Date()
      const since = query.since ?? new Date(until.getTime() - DEFAULT_DAYS * DAY_MS)
      if (since > until)
        throw problem('invalid_request', {
          errors: [{ detail: 'a time that is not after until', parameter: 'since' }],
        })
      const figures = await figuresOf(trx, { tenantId, from: since, until })
      return {
        ...figures,
        since,
        until,
        written_to: figures.contacted,
        lift: await loadLift(trx, { tenantId, from: since, until }),
      }
    },
  }),
]
