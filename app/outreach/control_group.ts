/**
 * The control group: a share of the callers gets no message, so that the effect of the messages can be measured
 * (`tenants.holdout_percent`, and recovery_lift() in sql/0006_reports.sql).
 */
import { sql } from 'kysely'
import { holdoutPlace } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { personOf } from '../phone.ts'
import type { Lift, LiftArm } from './summaries.ts'

/**
 * Whether a person is in the control group. For one person the answer stays the same; a higher percentage only adds people.
 * It changes with ENCRYPTION_KEY.
 */
export const isHeldOut = (tenantId: string, e164: string, percent: number): boolean =>
  percent > 0 && holdoutPlace(tenantId, personOf(e164)) * 100 < percent

export type LiftRow = LiftArm & Pick<Lift, 'lift' | 'low' | 'high' | 'enough'> & { arm: string }

/** How far the page Today and the weekly line look back. A month has too few callers for most tenants. */
export const LIFT_DAYS = 90

export const liftSince = (until: Date): Date =>
  new Date(until.getTime() - LIFT_DAYS * 24 * 60 * 60_000)

/**
 * The effect of a tenant's messages within a period.
 *
 * @returns null if there is no control group
 */
export const loadLift = async (
  trx: Trx,
  { tenantId, from, until }: { tenantId: string; from: Date; until: Date },
): Promise<Lift | null> => {
  const { rows } = await sql<LiftRow>`
    select arm, callers::int, recovered::int, rate, lift, low, high, enough
    from recovery_lift_between(${from}, ${until}, ${tenantId})
    where tenant_id = ${tenantId}`.execute(trx)
  const [outreach, holdout] = ['outreach', 'holdout'].map(arm => rows.find(row => row.arm === arm))
  if (!outreach || !holdout) return null
  const { lift, low, high, enough } = outreach
  const armOf = ({ callers, recovered, rate }: LiftRow): LiftArm => ({ callers, recovered, rate })
  return { outreach: armOf(outreach), holdout: armOf(holdout), lift, low, high, enough }
}
