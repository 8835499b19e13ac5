import { sql } from 'kysely'
import { html } from '../html.ts'
import { deedForm } from '../deed_form.ts'
import { telephone, when } from '../format.ts'
import { table } from '../table.ts'
import { troubleWords } from '../words/trouble.ts'
import { waitingWords } from '../words/waiting.ts'
import { counted, SHOWN, type ShowSection } from './section.ts'

type Unknown = {
  id: string
  tenantId: string
  tenant: string
  timezone: string
  kind: keyof (typeof waitingWords)['en']['due']['kinds']
  reason: string | null
  claimedAt: Date
  phone: string | null
  name: string | null
  sender: string | null
  recordId: string | null
}

/** Sends whose answer was lost, to be settled by somebody who has looked. */
export const unknownMessages: ShowSection = async (trx, visit, tenantId) => {
  const { unknown: words, ...common } = troubleWords[visit.language]
  const { kinds } = waitingWords[visit.language].due
  const { rows: found } = await sql<Unknown>`
    select m.id, t.id as "tenantId", t.name as tenant, t.timezone, m.kind, m.reason, m.claimed_at as "claimedAt",
           coalesce(m.to_phone, k.caller_phone) as phone, l.name, n.display_phone_number as sender,
           (select min(r.id) from raw_cdrs r where r.tenant_id = k.tenant_id and r.root_call_id = k.call_id) as "recordId"
    from messages m
    join tenants t on t.id = m.tenant_id
    left join whatsapp_connections n on n.id = m.whatsapp_connection_id
    left join lead_conversations c on c.id = m.lead_conversation_id
    left join missed_calls k on k.id = c.missed_call_id
    left join leads l on l.id = coalesce(c.lead_id, m.lead_id)
    where m.state = 'unknown' ${tenantId === null ? sql`` : sql`and m.tenant_id = ${tenantId}`}
    order by m.id desc limit ${SHOWN + 1}`.execute(trx)
  const { rows, count, more } = counted(found)
  const whys: Record<string, string> = words.whys
  return {
    id: 'unknown',
    title: words.title,
    help: words.help,
    count,
    more,
    body: table(rows, [
      [
        words.to,
        ({ phone, name }) => html`${telephone(phone)}${name && html`<br /><bdi>${name}</bdi>`}`,
      ],
      [
        words.sent,
        ({ claimedAt, timezone, kind, recordId }) =>
          html`${when(claimedAt, visit.language, timezone)}<br />
            ${recordId ? html`<a href="/ops/calls/${recordId}">${kinds[kind]}</a>` : kinds[kind]}`,
      ],
      [words.from, ({ sender }) => telephone(sender)],
      visit.own === null && [common.business, ({ tenant }) => html`<bdi>${tenant}</bdi>`],
      [words.why, ({ reason }) => whys[reason ?? ''] ?? words.otherwise],
      [
        common.whatNow,
        ({ id, tenantId, phone }) =>
          html`<div class="row">
            ${deedForm(visit, {
              path: `/ops/trouble/${tenantId}/messages/${id}/arrived`,
              label: words.arrived,
              about: phone,
            })}
            ${deedForm(visit, {
              path: `/ops/trouble/${tenantId}/messages/${id}/lost`,
              label: words.lost,
              about: phone,
            })}
          </div>`,
      ],
    ]),
  }
}
