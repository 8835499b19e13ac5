/** What is in every table, ours and the queue's, without what a known sender puts there meanwhile. */
import type { Query } from './kept.ts'

/** Rows of the sender whose call ids begin like this do not count. */
const others = (prefix: string): Record<string, string> => ({
  'public.raw_cdrs': `call_id not like '${prefix}%'`,
  'graphile_worker._private_jobs': `coalesce(key, '') not like 'voicenter_cdr:${prefix}%'`,
})

/** Count and hash of each table. The same before and after = no row was written, changed or removed. */
export const tablesWithout = async (
  query: Query,
  prefix: string,
): Promise<Record<string, string>> => {
  const tables = await query<{ name: string }>(`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ('public', 'graphile_worker') order by name`)
  const hashes: Record<string, string> = {}
  for (const { name } of tables) {
    const [row] = await query<{ hash: string }>(`
      select count(*) || ' ' || md5(coalesce(string_agg(h, ' ' order by h), '')) as hash
      from (select md5(t::text) as h from ${name} t where ${others(prefix)[name] ?? true}) as hashes`)
    hashes[name] = row?.hash ?? ''
  }
  return hashes
}
