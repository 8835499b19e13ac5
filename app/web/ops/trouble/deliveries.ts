import { sql } from 'kysely'
import { html } from '../html.ts'
import { carefulForm } from '../deed_form.ts'
import { when } from '../format.ts'
import { table } from '../table.ts'
import { refusedBecause } from '../words/refused_delivery.ts'
import { troubleWords } from '../words/trouble.ts'
import { counted, SHOWN, type ShowSection } from './section.ts'

type Refused = {
  /** The newest of them. */
  id: string
  tenant: string | null
  timezone: string | null
  source: keyof (typeof troubleWords)['en']['deliveries']['sources']
  reason: string
  different: number
  deliveries: number
  last: Date
  cut: boolean
}

/** The latest that are looked at. */
const AT_MOST = 2000

/** What was refused, by sender and reason: one broken setting makes a thousand bad records and is one trouble. */
export const refusedDeliveries: ShowSection = async (trx, visit, tenantId) => {
  const { deliveries: words, ...common } = troubleWords[visit.language]
  const { rows: found } = await sql<Refused>`
    with lately as (
      select id, tenant_id, source, reason, deliveries, received_at from rejected_deliveries
      where discarded_at is null and received_at > now() - interval '30 days'
        ${tenantId === null ? sql`` : sql`and tenant_id = ${tenantId}`}
      order by received_at desc, id desc limit ${AT_MOST}
    )
    select max(r.id) as id, t.name as tenant, t.timezone, r.source, r.reason, count(*)::int as different,
           sum(r.deliveries)::int as deliveries, max(r.received_at) as last,
           (select count(*) from lately) = ${AT_MOST} as cut
    from lately r left join tenants t on t.id = r.tenant_id
    group by r.tenant_id, t.name, t.timezone, r.source, r.reason order by last desc limit ${SHOWN + 1}`.execute(
    trx,
  )
  const { rows, count, more } = counted(found, found[0]?.cut)
  return {
    id: 'deliveries',
    title: words.title,
    help: words.help,
    count,
    more,
    body: table(rows, [
      [
        words.why,
        ({ reason, source }) =>
          html`<bdi>${refusedBecause(visit.language, reason)}</bdi><br /><small
              >${words.sources[source]}</small
            >`,
      ],
      [words.howOften, ({ different, deliveries }) => words.times(different, deliveries)],
      [
        common.last,
        ({ id, last, timezone }) =>
          html`${when(last, visit.language, timezone ?? undefined)}<br /><a
              href="/ops/trouble/deliveries/${id}"
              >${words.look}</a
            >`,
      ],
      visit.own === null && [
        common.business,
        ({ tenant }) => html`<bdi>${tenant ?? common.nobody}</bdi>`,
      ],
      [
        common.whatNow,
        ({ id, different, reason }) =>
          carefulForm(visit, {
            id: `discard-delivery-${id}`,
            open: words.discardAll,
            warning: words.warning(different),
            path: `/ops/trouble/deliveries/${id}/discard`,
            fields: { alike: 'yes' },
            label: words.discardNow,
            about: refusedBecause(visit.language, reason),
          }),
      ],
    ]),
  }
}
