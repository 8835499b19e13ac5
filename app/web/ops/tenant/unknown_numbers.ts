import { sql } from 'kysely'
import type { Trx } from '../../../db/kysely.ts'

/** As many records as are looked at: it is enough to know that there are some. */
const AT_MOST = 1000

/** The numbers dialled that came with a business's own token, and belong to nobody here. */
export const unknownNumbers = async (
  trx: Trx,
  tenantId: string,
): Promise<{ phone: string; calls: number }[]> => {
  const { rows } = await sql<{ phone: string; calls: number }>`
    with unmatched as (
      select business_phone as phone, call_id from raw_cdrs
      where token_tenant_id = ${tenantId} and verdict = 'unmatched_number' and business_phone is not null
      limit ${AT_MOST}
    )
    select phone, count(distinct call_id)::int as calls from unmatched u
    -- One that is known by now is being judged again, or is another's.
    where not exists (select from tenant_numbers n where n.phone = u.phone)
    group by phone order by calls desc, phone`.execute(trx)
  return rows
}
