/** The parts of /ops/trouble about the setup: numbers, WhatsApp connections, webhooks, call logs. */
import { sql } from 'kysely'
import type { Trx } from '../../db/kysely.ts'
import { NUMBER_MOVED } from '../../tenants/accounts.ts'
import type { TemplateKind } from '../../whatsapp/templates.ts'
import type { Context } from './access.ts'
import { DEFAULT_TIMEZONE, dateTime, telephone } from './format.ts'
import { actionForm } from './forms.ts'
import { type Column, html, type Html, table } from './html.ts'
import { layoutTexts } from './layout.ts'
import { alertTexts } from './locales/alerts.ts'
import { waitingTexts } from './locales/waiting.ts'
import { pauseReason } from './locales/whatsapp_errors.ts'
import { tenantOptions, tenantsFor } from './page.ts'

/** The limit of rows that a section shows and counts. */
export const MAX_SHOWN = 25

export type AlertSection = {
  /** The fragment of its URL: /ops/trouble#unknown */
  id: string
  title: string
  help: string
  /** At most MAX_SHOWN. */
  count: number
  more: boolean
  body: Html
}

/** @param tenantId null = all tenants, and CDRs without a tenant */
export type LoadSection = (
  trx: Trx,
  context: Context,
  tenantId: string | null,
) => Promise<AlertSection>

/**
 * @param rows one more than MAX_SHOWN if there are more
 * @param cut the query did not look at all data, so there may be more rows
 */
export const alertSection = <Row>(
  id: string,
  texts: { title: string; help: string },
  rows: Row[],
  columns: Column<Row>[],
  cut = false,
): AlertSection => ({
  id,
  title: texts.title,
  help: texts.help,
  count: Math.min(rows.length, MAX_SHOWN),
  more: cut || rows.length > MAX_SHOWN,
  body: table(rows.slice(0, MAX_SHOWN), columns),
})

const businessLink = (id: string, name: string) =>
  html`<a href="/ops/tenants/${id}"><bdi>${name}</bdi></a>`

type Paused = {
  tenantId: string
  tenant: string
  displayNumber: string
  phoneNumberId: string
  reason: string | null
  /** null = the number itself is paused, not a template. */
  kind: TemplateKind | null
  template: string | null
}

export const pausedSenders: LoadSection = async (trx, context, tenantId) => {
  const { paused: texts, whatNow } = alertTexts[context.language]
  const { kinds } = waitingTexts[context.language].due
  const ofTenant = tenantId === null ? sql`` : sql`and c.tenant_id = ${tenantId}`
  const { rows } = await sql<Paused>`
    select p.*, t.name as tenant from (
      select c.tenant_id as "tenantId", c.display_phone_number as "displayNumber", c.phone_number_id as "phoneNumberId",
             c.state_reason as reason, null as kind, null as template
      from whatsapp_connections c
      where c.state = 'paused' and c.state_reason is distinct from ${NUMBER_MOVED} ${ofTenant}
    union all
      select c.tenant_id, c.display_phone_number, c.phone_number_id,
             case when w.state = 'paused' then w.state_reason
               when w.category = 'MARKETING' and not w.marketing_agreed then 'template MARKETING'
               else 'template DIFFERS' end, w.kind, w.name
      from whatsapp_templates w join whatsapp_connections c on c.id = w.whatsapp_connection_id
      where (w.state = 'paused' and w.state_reason is distinct from 'template PENDING'
             or w.category = 'MARKETING' and not w.marketing_agreed or w.differs <> '{}') ${ofTenant}
    ) p join tenants t on t.id = p."tenantId"
    order by t.name, p."phoneNumberId", p.kind nulls first limit ${MAX_SHOWN + 1}`.execute(trx)
  return alertSection('paused', texts, rows, [
    [
      texts.what,
      ({ displayNumber, kind, template }) =>
        html`${telephone(displayNumber)}
        ${kind && html`<br />${texts.template(template ?? '')}<br /><small>${kinds[kind]}</small>`}`,
    ],
    context.tenantScope === null && [
      layoutTexts[context.language].business,
      one => businessLink(one.tenantId, one.tenant),
    ],
    [texts.why, ({ reason }) => pauseReason(context.language, reason).why],
    [
      whatNow,
      ({ tenantId, phoneNumberId, displayNumber, kind, reason }) =>
        html`<p>${pauseReason(context.language, reason).whatNow}</p>
          ${actionForm(context, {
            path: `/ops/trouble/${tenantId}/resume`,
            label: texts.resume,
            fields: kind ? { kind } : { phoneNumberId },
            about: displayNumber,
          })}`,
    ],
  ])
}

type UnmatchedNumber = {
  /** The tenant of the webhook token; null = a token without a tenant. */
  tenantId: string | null
  tenant: string | null
  timezone: string | null
  phone: string | null
  calls: number
  last: Date
  cut: boolean
}

/** The query reads only this many of the newest call records. */
const MAX_RECORDS = 5000

/** Numbers that customers call and that belong to no tenant. The operator can add them with one click. */
export const unmatchedNumbers: LoadSection = async (trx, context, tenantId) => {
  const { numbers: texts, last, noTenant, whatNow } = alertTexts[context.language]
  const { rows } = await sql<UnmatchedNumber>`
    with lately as (
      select tenant_id, business_phone, root_call_id, coalesce(called_at, received_at) as at from raw_cdrs
      where verdict = 'unmatched_number' and coalesce(called_at, received_at) > now() - interval '30 days'
        ${tenantId === null ? sql`` : sql`and tenant_id = ${tenantId}`}
      order by coalesce(called_at, received_at) desc limit ${MAX_RECORDS}
    )
    select r.tenant_id as "tenantId", t.name as tenant, t.timezone, r.business_phone as phone,
           count(distinct r.root_call_id)::int as calls, max(r.at) as last,
           (select count(*) from lately) = ${MAX_RECORDS} as cut
    from lately r left join tenants t on t.id = r.tenant_id
    -- The calls of a number that was just added are still being classified.
    where not exists (select from tenant_numbers n where n.phone = r.business_phone)
    group by r.tenant_id, t.name, t.timezone, r.business_phone order by last desc limit ${MAX_SHOWN + 1}`.execute(
    trx,
  )
  const isChoiceNeeded = rows.some(row => row.tenantId === null)
  const { tenants } = isChoiceNeeded ? await tenantsFor(trx, context) : { tenants: [] }

  const path = '/ops/trouble/numbers'
  const addForm = ({ tenantId, tenant, phone }: UnmatchedNumber) => {
    if (phone === null) return texts.unreadable
    // A tenant can post a call record with any number, also with one of another tenant. Only the operator decides.
    if (context.tenantScope !== null) return texts.askOperator
    // The calls can belong only to the tenant of the token.
    if (tenantId !== null)
      return actionForm(context, {
        path,
        label: texts.add(tenant ?? ''),
        fields: { phone, tenant: tenantId },
        about: phone,
      })
    return actionForm(
      context,
      { path, label: texts.addChosen, fields: { phone }, about: phone },
      tenants === null
        ? html`<input
            name="tenant"
            required
            inputmode="numeric"
            pattern="[1-9][0-9]*"
            size="8"
            aria-label="${texts.chooseId}"
            placeholder="${texts.chooseId}"
          />`
        : html`<select name="tenant" required aria-label="${texts.choose}">
            ${tenantOptions(tenants, null, texts.choose)}
          </select>`,
    )
  }
  return alertSection(
    'numbers',
    texts,
    rows,
    [
      [texts.number, ({ phone }) => telephone(phone)],
      [texts.calls, ({ calls }) => calls],
      [last, one => dateTime(one.last, context.language, one.timezone ?? DEFAULT_TIMEZONE)],
      context.tenantScope === null && [
        texts.source,
        ({ tenant }) => html`<bdi>${tenant ?? noTenant}</bdi>`,
      ],
      [whatNow, addForm],
    ],
    rows[0]?.cut,
  )
}

type Silent = { tenantId: string; tenant: string; timezone: string; last: Date | null }

/** The alert `webhooks_silent`. The other alerts in the table have sections of their own here. */
export const silentWebhooks: LoadSection = async (trx, context, tenantId) => {
  const { silent: texts, whatNow } = alertTexts[context.language]
  const { rows } = await sql<Silent>`
    select t.id as "tenantId", t.name as tenant, t.timezone,
           (select max(r.received_at) from raw_cdrs r where r.tenant_id = t.id and r.source = 'push') as last
    from alerts a join tenants t on t.id = a.tenant_id
    where a.ended_at is null and a.kind = 'webhooks_silent'
      ${tenantId === null ? sql`` : sql`and a.tenant_id = ${tenantId}`}
    order by a.id desc limit ${MAX_SHOWN + 1}`.execute(trx)
  return alertSection('silent', texts, rows, [
    [layoutTexts[context.language].business, one => businessLink(one.tenantId, one.tenant)],
    [texts.since, ({ last, timezone }) => dateTime(last, context.language, timezone)],
    [whatNow, () => texts.do],
  ])
}

/** The Pop-Up Screen: cancelled messages that no call record confirms, and tokens that ask about too many people. */
export const popupAlerts: LoadSection = async (trx, context, tenantId) => {
  const { popup: texts, whatNow } = alertTexts[context.language]
  const { rows } = await sql<{
    tenantId: string
    tenant: string
    timezone: string
    kind: 'popup_unconfirmed' | 'popup_lookups'
    since: Date
    phone: string | null
    tokenId: string
  }>`
    select t.id as "tenantId", t.name as tenant, t.timezone, a.kind, a.raised_at as since, l.phone,
           split_part(a.subject, ' ', 2) as "tokenId"
    from alerts a
    join tenants t on t.id = a.tenant_id
    left join leads l on a.kind = 'popup_unconfirmed' and l.tenant_id = t.id
      and l.id = substring(a.subject from '^leads ([0-9]{1,18})$')::bigint
    where a.ended_at is null and a.kind in ('popup_unconfirmed', 'popup_lookups')
      ${tenantId === null ? sql`` : sql`and a.tenant_id = ${tenantId}`}
    order by a.id desc limit ${MAX_SHOWN + 1}`.execute(trx)
  return alertSection('popup', texts, rows, [
    [layoutTexts[context.language].business, one => businessLink(one.tenantId, one.tenant)],
    [texts.since, ({ since, timezone }) => dateTime(since, context.language, timezone)],
    [
      texts.what,
      ({ kind, phone, tokenId }) =>
        kind === 'popup_lookups'
          ? texts.lookups(tokenId)
          : html`${texts.unconfirmed} ${phone && telephone(phone)}`,
    ],
    [whatNow, ({ kind }) => texts.whatNow[kind]],
  ])
}

/** Addresses that get no more events. */
export const disabledEndpoints: LoadSection = async (trx, context, tenantId) => {
  const { endpoints: texts, whatNow } = alertTexts[context.language]
  const rows = await trx
    .selectFrom('event_endpoints as e')
    .innerJoin('tenants as t', 't.id', 'e.tenant_id')
    .select(['t.id', 't.name', 'e.id as endpointId', 'e.url', 'e.state_reason'])
    .where('e.state', '=', 'disabled')
    .$if(tenantId !== null, query => query.where('t.id', '=', tenantId))
    .orderBy('e.id', 'desc')
    .limit(MAX_SHOWN + 1)
    .execute()
  return alertSection('endpoints', texts, rows, [
    [layoutTexts[context.language].business, ({ id, name }) => businessLink(id, name)],
    [
      texts.address,
      ({ id, endpointId, url }) =>
        html`<a href="/ops/tenants/${id}/events#endpoint-${endpointId}"
          ><bdi class="address" dir="ltr">${new URL(url).host}</bdi></a
        >`,
    ],
    [texts.why, ({ state_reason: why }) => why && texts.whys[why]],
    [whatNow, () => texts.do],
  ])
}

/** Tenants whose call log cannot be read, although Ringback has access. */
export const failingCallLogs: LoadSection = async (trx, context, tenantId) => {
  const { callLog: texts } = alertTexts[context.language]
  const rows = await trx
    .selectFrom('call_log_access as a')
    .innerJoin('tenants as t', 't.id', 'a.tenant_id')
    .select(['t.id', 't.name', 't.timezone', 'a.last_error', 'a.failing_since'])
    .where('a.last_error', 'is not', null)
    .$if(tenantId !== null, query => query.where('t.id', '=', tenantId))
    .orderBy('a.failing_since')
    .limit(MAX_SHOWN + 1)
    .execute()
  const whys: Record<string, string> = texts.whys
  return alertSection('call-log', texts, rows, [
    [layoutTexts[context.language].business, ({ id, name }) => businessLink(id, name)],
    [texts.since, row => dateTime(row.failing_since, context.language, row.timezone)],
    [texts.why, ({ last_error: why }) => whys[why ?? ''] ?? texts.otherwise(why ?? '')],
  ])
}

/** The query reads only this many of the newest events. */
const MAX_EVENTS = 5000

/** WhatsApp reports on numbers that no tenant has connected. For the operator only. */
export const unknownSenders: LoadSection = async (trx, context) => {
  const { unknownSenders: texts, last } = alertTexts[context.language]
  const { rows } = await sql<{ id: string; events: number; last: Date; cut: boolean }>`
    with lately as (
      select phone_number_id, received_at from whatsapp_events
      where tenant_id is null and outcome = 'number_unknown' and phone_number_id is not null
        and received_at > now() - interval '7 days'
      order by received_at desc limit ${MAX_EVENTS}
    )
    select phone_number_id as id, count(*)::int as events, max(received_at) as last,
           (select count(*) from lately) = ${MAX_EVENTS} as cut
    from lately group by 1 order by last desc limit ${MAX_SHOWN + 1}`.execute(trx)
  return alertSection(
    'unknown-senders',
    texts,
    rows,
    [
      [texts.id, ({ id }) => html`<code>${id}</code>`],
      [texts.events, ({ events }) => events],
      [last, one => dateTime(one.last, context.language, DEFAULT_TIMEZONE)],
    ],
    rows[0]?.cut,
  )
}
