import type { Writable } from 'node:stream'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import { audit, type Actor } from '../audit.ts'
import type { DB } from '../db/generated.ts'
import { notFound } from '../errors.ts'
import { tenantId } from '../tenants/fields.ts'
import { writeCsv, type Row } from './csv.ts'
import { period, periodIn } from './period.ts'
import { COLUMNS, EXPORTS, type Page, PAGES } from './tables.ts'

/** What is wanted: one kind of rows of one business, of a period or of all time. */
export const exporting = period.extend({
  tenantId,
  what: z.enum(EXPORTS, 'calls, leads or messages'),
})

/** How many rows are read at once. */
const PAGE = 1000

/**
 * Writes calls, leads or messages of a business as CSV, oldest first, and notes who took them. Each page is a short
 * read-only transaction of its own: whoever reads slowly holds no connection meanwhile, and the memory taken does not
 * grow with what is stored.
 *
 * @param database whose connections are used: those of requests, or those of tasks
 * @param out is ended
 * @returns how many rows
 * @throws Mistake when there is no such business, before anything is written
 */
export const exportCsv = async (
  database: Kysely<DB>,
  signIn: Actor,
  wanted: z.infer<typeof exporting>,
  out: Writable,
): Promise<number> => {
  const { tenantId, what, since = null, until = null } = wanted
  const tenant = await database
    .selectFrom('tenants')
    .select('timezone')
    .where('id', '=', tenantId)
    .executeTakeFirst()
  if (!tenant) throw notFound(`tenant ${tenantId}`)
  const { timezone } = tenant
  // First, so that nobody takes anything without a trace.
  await database.transaction().execute(trx =>
    audit(trx, signIn, {
      tenantId,
      action: `export.${what}`,
      subject: `tenants ${tenantId}`,
      before: null,
      after: { since, until },
    }),
  )
  const page = { tenantId, timezone, ...periodIn(timezone, wanted) }
  let rows = 0
  const counted = async function* () {
    for await (const row of rowsOf(database, what, page)) {
      rows++
      yield row
    }
  }
  await writeCsv([...COLUMNS[what], 'timezone'], counted(), out)
  return rows
}

/** Row by row. */
async function* rowsOf(
  database: Kysely<DB>,
  what: (typeof EXPORTS)[number],
  page: Omit<Page, 'after' | 'limit'>,
): AsyncGenerator<Row> {
  let after: string | null = null
  for (;;) {
    const { rows } = await database
      .transaction()
      .setAccessMode('read only')
      .execute(trx => PAGES[what]({ ...page, after, limit: PAGE }).execute(trx))
    for (const { position, ...row } of rows) {
      after = position ?? after
      yield { ...row, timezone: page.timezone }
    }
    if (rows.length < PAGE) return
  }
}
