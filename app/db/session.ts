/** What a session with the database is told when it begins, and which of its plans are kept. */
import type pg from 'pg'

/** As parts of a select; for the session, or only for the open transaction. */
export const settings = (values: Record<string, string>, isLocal = false): string[] =>
  Object.entries(values).map(([name, value]) => `set_config('${name}', '${value}', ${isLocal})`)

/**
 * What webhooks ask is small and always the same, and is looked up by an index. A plan that is made once is good for
 * each time, but one that was made while a table was small would read all of it, also when it is not small any more.
 * Where reading all of it cannot be helped, Postgres before 18 takes that for so dear that it would compile it (jit).
 */
export const PLAN_ONCE = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  jit: 'off',
}

/**
 * Of graphile-worker. The next job is the first of an index, and a plan that was made while there were none would collect
 * and sort all that there are: 7 ms in place of 0.2 with some thousands waiting.
 *
 * Its commits wait for the disk like all others. Without that (synchronous_commit) a database that is killed forgets that
 * a job is done, and the job stays locked for the worker that did it, until graphile-worker frees it after four hours.
 */
export const QUEUE = { ...PLAN_ONCE, enable_bitmapscan: 'off', enable_sort: 'off' }

/**
 * A database that takes no writes for a while (its disk is nearly full, it is not the primary yet) says so to each
 * session as that begins, and a session that began then would stay like that for as long as it is kept.
 */
export const begin = async (
  client: pg.ClientBase,
  values: Record<string, string>,
): Promise<void> => {
  const asked = ["current_setting('transaction_read_only') as read_only", ...settings(values)]
  const { rows } = await client.query<{ read_only: string }>(`select ${asked.join()}`)
  if (rows[0]?.read_only === 'on')
    throw Object.assign(new Error('the database takes no writes'), { code: '25006' })
}

const NAME = /^\s*\/\* (\w+) \*\//

/**
 * A statement that begins with its name, such as "store" in a comment, is planned once for each connection, and by its
 * name it is found in pg_stat_activity. For those that run with every call: to plan them again takes longer than to run
 * them. Kysely has no way to say so. The text must be the same each time, or node-postgres throws.
 */
export const keepPlans = (client: pg.PoolClient): void => {
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
  client.query = new Proxy(client.query, {
    apply: (query, self, [text, values, ...others]: unknown[]) => {
      const name = typeof text === 'string' ? NAME.exec(text)?.[1] : undefined
      const args = name ? [{ name, text, values }, ...others] : [text, values, ...others]
      return Reflect.apply(query, self, args)
    },
  })
}
