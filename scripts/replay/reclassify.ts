/** npm run replay -- --apply: classifies calls again that have no final verdict. */
import { db } from '../../app/db/kysely.ts'
import { retryOnConflict } from '../../app/db/retry.ts'
import { readSettings } from '../../app/tenants/settings.ts'
import { reclassify, renewFacts, undecidedCalls } from '../../app/voicenter/reclassify.ts'
import { type Flags, type Output, UsageError } from './flags.ts'
import { readSnapshot } from './snapshot.ts'

/** The number of calls whose jobs are added in one transaction. */
const BATCH = 200
/** The time zone of --since if no tenant is named. */
const TIMEZONE = 'Asia/Jerusalem'

const ALLOWED = ['apply', 'tenant', 'since', 'json', 'night']

export const reclassifyUndecided = async (flags: Flags, output: Output): Promise<void> => {
  const others = Object.keys(flags).filter(flag => !ALLOWED.includes(flag))
  if (others.length)
    throw new UsageError(
      `--apply uses the current settings of the business. It goes with --tenant and --since only, not with --${others.join(', --')}`,
    )
  const tenantId = flags.tenant ?? null
  const callIds = await readSnapshot(async trx => {
    const timezone = tenantId ? (await readSettings(trx, tenantId)).timezone : TIMEZONE
    const since = flags.since?.(new Date(), timezone) ?? null
    return undecidedCalls(trx, { tenantId, since })
  })
  let calls = 0
  for (let from = 0; from < callIds.length; from += BATCH) {
    const batch = { tenantId, callIds: callIds.slice(from, from + BATCH) }
    calls += await retryOnConflict(() =>
      db.transaction().execute(async trx => {
        await renewFacts(trx, batch.callIds)
        return reclassify(trx, { as: 'command line' }, batch)
      }),
    )
    output.error(`${calls} of ${callIds.length} calls`)
  }
  if (flags.json) output.log(JSON.stringify({ calls }))
  else if (calls === 0) output.log('Every call has a final verdict.')
  else output.log(`${calls} calls without a final verdict were queued. A worker classifies them.`)
}
