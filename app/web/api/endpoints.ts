/** Every endpoint of the API. The router serves this list, and the OpenAPI document describes it. */
import { calls } from './calls.ts'
import { leadActions } from './lead_actions.ts'
import { leads } from './leads.ts'
import { missedCalls } from './missed_calls.ts'
import { report } from './report.ts'
import type { Route } from './route.ts'
import { webhooks } from './webhooks.ts'

export const ROUTES: readonly Route[] = [
  ...calls,
  ...leads,
  ...leadActions,
  ...missedCalls,
  ...webhooks,
  ...report,
]
