import { sql } from 'kysely'
import { html } from '../html.ts'
import { deedForm } from '../deed_form.ts'
import { telephone, when } from '../format.ts'
import { table } from '../table.ts'
import { tenantsSeen } from '../tenants_seen.ts'
import { troubleWords } from '../words/trouble.ts'
import { counted, SHOWN, type ShowSection } from './section.ts'

type Unmatched = {
  /** Whose token the calls came with; null = an unbound one. */
  tenantId: string | null
  tenant: string | null
  timezone: string | null
  phone: string | null
  calls: number
  last: Date
  cut: boolean
}

/** The latest records of unknown numbers that are looked at. */
const AT_MOST = 5000

/** Numbers that customers dial and nobody has entered; one click makes them a business's. */
export const unmatchedNumbers: ShowSection = async (trx, visit, tenantId) => {
  const { numbers: words, ...common } = troubleWords[visit.language]
  const { rows: found } = await sql<Unmatched>`
    with lately as (
      select tenant_id, business_phone, root_call_id, coalesce(called_at, received_at) as at from raw_cdrs
      where verdict = 'unmatched_number' and coalesce(called_at, received_at) > now() - interval '30 days'
        ${tenantId === null ? sql`` : sql`and tenant_id = ${tenantId}`}
      order by coalesce(called_at, received_at) desc limit ${AT_MOST}
    )
    select r.tenant_id as "tenantId", t.name as tenant, t.timezone, r.business_phone as phone,
           count(distinct r.root_call_id)::int as calls, max(r.at) as last,
           (select count(*) from lately) = ${AT_MOST} as cut
    from lately r left join tenants t on t.id = r.tenant_id
    -- One that was added a moment ago is being judged again.
    where not exists (select from tenant_numbers n where n.phone = r.business_phone)
    group by r.tenant_id, t.name, t.timezone, r.business_phone order by last desc limit ${SHOWN + 1}`.execute(
    trx,
  )
  const { rows, count, more } = counted(found, found[0]?.cut)
  const tenants = rows.some(row => row.tenantId === null) ? await tenantsSeen(trx, visit) : []

  const deedOf = ({ tenantId, tenant, phone }: Unmatched) => {
    if (phone === null) return words.unreadable
    // Whoever holds a token can post a record that names any number, also one whose calls are somebody else's.
    if (visit.own !== null) return words.askOperator
    const path = '/ops/trouble/numbers'
    // Only the business whose token it was can have the calls.
    if (tenantId !== null)
      return deedForm(visit, {
        path,
        label: words.add(tenant ?? ''),
        fields: { phone, tenant: tenantId },
        about: phone,
      })
    return deedForm(
      visit,
      { path, label: words.addChosen, fields: { phone }, about: phone },
      html`<select name="tenant" required aria-label="${words.choose}">
        <option value="">${words.choose}</option>
        ${tenants.map(({ id, name }) => html`<option value="${id}">${name}</option>`)}
      </select>`,
    )
  }
  return {
    id: 'numbers',
    title: words.title,
    help: words.help,
    count,
    more,
    body: table(rows, [
      [words.number, ({ phone }) => telephone(phone)],
      [words.calls, ({ calls }) => calls],
      [common.last, ({ last, timezone }) => when(last, visit.language, timezone ?? undefined)],
      visit.own === null && [
        words.came,
        ({ tenant }) => html`<bdi>${tenant ?? common.nobody}</bdi>`,
      ],
      [common.whatNow, deedOf],
    ]),
  }
}
