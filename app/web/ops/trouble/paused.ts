import { sql } from 'kysely'
import type { TemplateKind } from '../../../whatsapp/templates.ts'
import { html } from '../html.ts'
import { deedForm } from '../deed_form.ts'
import { telephone } from '../format.ts'
import { table } from '../table.ts'
import { troubleWords } from '../words/trouble.ts'
import { waitingWords } from '../words/waiting.ts'
import { pausedBecause } from '../words/whatsapp_reason.ts'
import { counted, SHOWN, type ShowSection } from './section.ts'

type Paused = {
  tenantId: string
  tenant: string
  displayNumber: string
  phoneNumberId: string
  reason: string | null
  /** Of a template; null = it is the number that is paused. */
  kind: TemplateKind | null
  template: string | null
}

/** WhatsApp numbers and templates through which nothing goes out. */
export const pausedSenders: ShowSection = async (trx, visit, tenantId) => {
  const { paused: words, ...common } = troubleWords[visit.language]
  const { kinds } = waitingWords[visit.language].due
  const own = tenantId === null ? sql`` : sql`and c.tenant_id = ${tenantId}`
  const { rows: found } = await sql<Paused>`
    select p.*, t.name as tenant from (
      select c.tenant_id as "tenantId", c.display_phone_number as "displayNumber", c.phone_number_id as "phoneNumberId",
             c.state_reason as reason, null as kind, null as template
      from whatsapp_connections c where c.state = 'paused' ${own}
    union all
      select c.tenant_id, c.display_phone_number, c.phone_number_id, w.state_reason, w.kind, w.name
      from whatsapp_templates w join whatsapp_connections c on c.id = w.whatsapp_connection_id
      where w.state = 'paused' ${own}
    ) p join tenants t on t.id = p."tenantId"
    order by t.name, p."phoneNumberId", p.kind nulls first limit ${SHOWN + 1}`.execute(trx)
  const { rows, count, more } = counted(found)
  return {
    id: 'paused',
    title: words.title,
    help: words.help,
    count,
    more,
    body: table(rows, [
      [
        words.what,
        ({ displayNumber, kind, template }) =>
          html`${telephone(displayNumber)}
          ${kind && html`<br />${words.template(template ?? '')}<br /><small>${kinds[kind]}</small>`}`,
      ],
      visit.own === null && [
        common.business,
        ({ tenant, tenantId }) => html`<a href="/ops/tenants/${tenantId}"><bdi>${tenant}</bdi></a>`,
      ],
      [words.why, ({ reason }) => pausedBecause(visit.language, reason).why],
      [
        common.whatNow,
        ({ tenantId, phoneNumberId, displayNumber, kind, reason }) =>
          html`<p>${pausedBecause(visit.language, reason).whatNow}</p>
            ${deedForm(visit, {
              path: `/ops/trouble/${tenantId}/resume`,
              label: words.resume,
              fields: kind ? { kind } : { phoneNumberId },
              about: displayNumber,
            })}`,
      ],
    ]),
  }
}
