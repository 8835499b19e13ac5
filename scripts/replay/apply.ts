/** npm run replay -- --apply: has undecided calls judged again. */
import { type Asked, fail } from './flags.ts'
import { patiently } from './patiently.ts'
import { reclassify, undecidedCalls } from '../../app/voicenter/pending_calls.ts'
import { readSettings } from '../../app/tenants/settings.ts'
import { db } from '../../app/db/kysely.ts'
import { retryOnConflict } from '../../app/db/retry.ts'

/** Calls whose jobs are added in one transaction. */
const BATCH = 200
/** Where no business, and so no clock, is named. */
const TIMEZONE = 'Asia/Jerusalem'

/** All that --apply has to do with: the rest speaks of what would be. */
const ITS_OWN = ['apply', 'tenant', 'since', 'json', 'night']

export const run = async (asked: Asked): Promise<void> => {
  const foreign = Object.keys(asked).filter(flag => !ITS_OWN.includes(flag))
  if (foreign.length)
    fail(
      `--apply judges by the settings of the business as they are, and goes with --tenant and --since only, not with --${foreign.join(', --')}`,
    )
  const tenantId = asked.tenant ?? null
  try {
    const callIds = await patiently(async trx => {
      const timezone = tenantId ? (await readSettings(trx, tenantId)).timezone : TIMEZONE
      const since = asked.since?.(new Date(), timezone) ?? null
      return undecidedCalls(trx, { tenantId, since })
    })
    let calls = 0
    for (let from = 0; from < callIds.length; from += BATCH) {
      const batch = { tenantId, callIds: callIds.slice(from, from + BATCH) }
      calls += await retryOnConflict(() =>
        db.transaction().execute(trx => reclassify(trx, { as: 'command line' }, batch)),
      )
      console.error(`${calls} of ${callIds.length} calls`)
    }
    if (asked.json) console.log(JSON.stringify({ calls }))
    else
      console.log(
        calls
          ? `${calls} calls that were not decided are judged again, as soon as a worker gets to them.`
          : 'There is no call that was not decided.',
      )
  } finally {
    await db.destroy()
  }
}
