import { sql } from 'kysely'
import { html } from '../html.ts'
import { when } from '../format.ts'
import { table } from '../table.ts'
import { troubleWords } from '../words/trouble.ts'
import { counted, SHOWN, type ShowSection } from './section.ts'

type Silent = { tenantId: string; tenant: string; timezone: string; last: Date | null }

/** Businesses of which no call comes in any more. Every other alert has a section of its own, with what to do. */
export const silentBusinesses: ShowSection = async (trx, visit, tenantId) => {
  const { silent: words, ...common } = troubleWords[visit.language]
  const { rows: found } = await sql<Silent>`
    select t.id as "tenantId", t.name as tenant, t.timezone,
           (select max(r.received_at) from raw_cdrs r where r.tenant_id = t.id and r.source = 'push') as last
    from alerts a join tenants t on t.id = a.tenant_id
    where a.ended_at is null and a.kind = 'webhooks_silent'
      ${tenantId === null ? sql`` : sql`and a.tenant_id = ${tenantId}`}
    order by a.id desc limit ${SHOWN + 1}`.execute(trx)
  const { rows, count, more } = counted(found)
  return {
    id: 'silent',
    title: words.title,
    help: words.help,
    count,
    more,
    body: table(rows, [
      [
        common.business,
        ({ tenant, tenantId }) => html`<a href="/ops/tenants/${tenantId}"><bdi>${tenant}</bdi></a>`,
      ],
      [words.since, ({ last, timezone }) => when(last, visit.language, timezone)],
      [common.whatNow, () => words.do],
    ]),
  }
}
