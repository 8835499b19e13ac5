/** The parts of /ops/trouble about single failures: messages, deliveries, jobs. */
import { sql } from 'kysely'
import type { Trx } from '../../db/kysely.ts'
import type { OutgoingKind } from '../../states.ts'
import { type FailedJob, failedJobs } from '../../worker/failed_jobs.ts'
import type { Context } from './access.ts'
import { alertSection, type LoadSection, MAX_SHOWN } from './alert_sections.ts'
import { abort } from './errors.ts'
import { DEFAULT_TIMEZONE, dateTime, telephone } from './format.ts'
import { actionForm, confirmForm } from './forms.ts'
import { html, type Html } from './html.ts'
import { layoutTexts } from './layout.ts'
import { alertTexts, rejectionText } from './locales/alerts.ts'
import { waitingTexts } from './locales/waiting.ts'

type UnknownMessage = {
  id: string
  tenantId: string
  tenant: string
  timezone: string
  kind: OutgoingKind
  reason: string | null
  claimedAt: Date
  phone: string | null
  name: string | null
  sender: string | null
  missedCallId: string | null
}

/** Messages that may have been sent. A person looks into the chat and decides. */
export const unknownMessages: LoadSection = async (trx, context, tenantId) => {
  const { unknown: texts, whatNow } = alertTexts[context.language]
  const { kinds } = waitingTexts[context.language].due
  const { rows } = await sql<UnknownMessage>`
    select m.id, t.id as "tenantId", t.name as tenant, t.timezone, m.kind, m.reason, m.claimed_at as "claimedAt",
           coalesce(m.to_phone, k.caller_phone) as phone, l.name, n.display_phone_number as sender,
           k.id as "missedCallId"
    from messages m
    join tenants t on t.id = m.tenant_id
    left join whatsapp_connections n on n.id = m.whatsapp_connection_id
    left join lead_conversations c on c.id = m.lead_conversation_id
    left join missed_calls k on k.id = c.missed_call_id
    left join leads l on l.id = coalesce(c.lead_id, m.lead_id)
    where m.state = 'unknown' ${tenantId === null ? sql`` : sql`and m.tenant_id = ${tenantId}`}
    order by m.id desc limit ${MAX_SHOWN + 1}`.execute(trx)
  const whys: Record<string, string> = texts.whys
  return alertSection('unknown', texts, rows, [
    [
      texts.to,
      ({ phone, name }) => html`${telephone(phone)}${name && html`<br /><bdi>${name}</bdi>`}`,
    ],
    [
      texts.sent,
      ({ claimedAt, timezone, kind, missedCallId }) =>
        html`${dateTime(claimedAt, context.language, timezone)}<br />
          ${missedCallId ? html`<a href="/ops/calls/missed/${missedCallId}">${kinds[kind]}</a>` : kinds[kind]}`,
    ],
    [texts.from, ({ sender }) => telephone(sender)],
    context.tenantScope === null && [
      layoutTexts[context.language].business,
      ({ tenant }) => html`<bdi>${tenant}</bdi>`,
    ],
    [texts.why, ({ reason }) => whys[reason ?? ''] ?? texts.otherwise],
    [
      whatNow,
      ({ id, tenantId, phone }) => {
        const path = `/ops/trouble/${tenantId}/messages/${id}`
        return html`<div class="row">
          ${actionForm(context, { path: `${path}/arrived`, label: texts.arrived, about: phone })}
          ${actionForm(context, { path: `${path}/lost`, label: texts.lost, about: phone })}
        </div>`
      },
    ],
  ])
}

type RejectedGroup = {
  /** The newest delivery. */
  id: string
  tenant: string | null
  timezone: string | null
  source: keyof (typeof alertTexts)['en']['deliveries']['sources']
  reason: string
  different: number
  deliveries: number
  last: Date
  cut: boolean
}

/** The query reads only this many of the newest deliveries. */
const MAX_DELIVERIES = 2000

/** Grouped by sender and reason, because one wrong setting can cause a thousand rejections. */
export const rejectedDeliveries: LoadSection = async (trx, context, tenantId) => {
  const { deliveries: texts, last, noTenant, whatNow } = alertTexts[context.language]
  const { rows } = await sql<RejectedGroup>`
    with lately as (
      select id, tenant_id, source, reason, deliveries, received_at from rejected_deliveries
      where discarded_at is null and reread_result is distinct from 'stored'
        and received_at > now() - interval '30 days'
        ${tenantId === null ? sql`` : sql`and tenant_id = ${tenantId}`}
      order by received_at desc, id desc limit ${MAX_DELIVERIES}
    )
    select max(r.id) as id, t.name as tenant, t.timezone, r.source, r.reason, count(*)::int as different,
           sum(r.deliveries)::int as deliveries, max(r.received_at) as last,
           (select count(*) from lately) = ${MAX_DELIVERIES} as cut
    from lately r left join tenants t on t.id = r.tenant_id
    group by r.tenant_id, t.name, t.timezone, r.source, r.reason order by last desc limit ${MAX_SHOWN + 1}`.execute(
    trx,
  )
  return alertSection(
    'deliveries',
    texts,
    rows,
    [
      [
        texts.why,
        ({ reason, source }) =>
          html`<bdi>${rejectionText(context.language, reason)}</bdi><br /><small
              >${texts.sources[source]}</small
            >`,
      ],
      [texts.howOften, ({ different, deliveries }) => texts.times(different, deliveries)],
      [
        last,
        one =>
          html`${dateTime(one.last, context.language, one.timezone ?? DEFAULT_TIMEZONE)}<br /><a
              href="/ops/trouble/deliveries/${one.id}"
              >${texts.show}</a
            >`,
      ],
      context.tenantScope === null && [
        layoutTexts[context.language].business,
        ({ tenant }) => html`<bdi>${tenant ?? noTenant}</bdi>`,
      ],
      [
        whatNow,
        ({ id, different, reason }) =>
          html`${actionForm(context, {
            path: `/ops/trouble/deliveries/${id}/reread`,
            fields: { alike: 'yes' },
            label: texts.reread,
            about: rejectionText(context.language, reason),
          })}
          ${confirmForm(context, {
            id: `discard-delivery-${id}`,
            open: texts.discard,
            warning: texts.discardMeans(different),
            path: `/ops/trouble/deliveries/${id}/discard`,
            fields: { alike: 'yes' },
            label: texts.discardYes,
            about: rejectionText(context.language, reason),
          })}`,
      ],
    ],
    rows[0]?.cut,
  )
}

const MAX_BODY = 20_000

/** One rejected delivery with its body. */
export const deliveryPage = async (trx: Trx, context: Context, id: string): Promise<Html> => {
  const { deliveries: texts, noTenant } = alertTexts[context.language]
  const { business, alerts } = layoutTexts[context.language]
  const found = await trx
    .selectFrom('rejected_deliveries as r')
    .leftJoin('tenants as t', 't.id', 'r.tenant_id')
    .select(['r.id', 'r.source', 'r.reason', 'r.content_type', 'r.body', 'r.deliveries'])
    .select(['r.received_at', 'r.discarded_at', 'r.reread_at', 'r.reread_result'])
    .select(['t.name', 't.timezone'])
    .where('r.id', '=', id)
    .$if(context.tenantScope !== null, query =>
      query.where('r.tenant_id', '=', context.tenantScope),
    )
    .executeTakeFirst()
  if (!found) return abort(404)
  const sources: Record<string, string> = texts.sources
  const body = found.body?.toString('utf8') ?? null
  return html`<h1>${texts.one}</h1>
    <div class="card">
      <dl class="values">
        <dt>${texts.why}</dt>
        <dd><bdi>${rejectionText(context.language, found.reason)}</bdi></dd>
        <dt>${texts.received}</dt>
        <dd>
          ${dateTime(found.received_at, context.language, found.timezone ?? DEFAULT_TIMEZONE)}
        </dd>
        <dt>${texts.source}</dt>
        <dd>${sources[found.source]}</dd>
        <dt>${business}</dt>
        <dd><bdi>${found.name ?? noTenant}</bdi></dd>
        <dt>${texts.howOften}</dt>
        <dd>${found.deliveries}</dd>
        <dt>${texts.type}</dt>
        <dd><code>${found.content_type ?? '–'}</code></dd>
        ${
          found.reread_at !== null &&
          html`<dt>${texts.rereadAt}</dt>
            <dd>
              ${dateTime(found.reread_at, context.language, found.timezone ?? DEFAULT_TIMEZONE)}:
              ${found.reread_result === 'stored' ? texts.isStored : texts.isStillRejected}
            </dd>`
        }
      </dl>
    </div>
    <h2>${texts.body}</h2>
    ${body === null ? html`<p class="empty">${texts.contentDeleted}</p>` : html`<pre>${body.slice(0, MAX_BODY)}</pre>`}
    ${body !== null && body.length > MAX_BODY && html`<p class="quiet">${texts.cut}</p>`}
    ${
      body !== null &&
      found.reread_result !== 'stored' &&
      actionForm(context, { path: `/ops/trouble/deliveries/${id}/reread`, label: texts.reread })
    }
    ${
      found.discarded_at === null &&
      confirmForm(
        { ...context, url: '/ops/trouble' },
        {
          id: 'discard',
          open: texts.discard,
          warning: texts.discardMeans(1),
          path: `/ops/trouble/deliveries/${id}/discard`,
          label: texts.discardYes,
        },
      )
    }
    <p><a href="/ops/trouble#deliveries">${alerts}</a></p>`
}

type JobOfForm = Pick<FailedJob, 'id' | 'task' | 'key'>

export const retryForm = (context: Context, { id, key }: JobOfForm): Html =>
  actionForm(context, {
    path: `/ops/trouble/jobs/${id}/retry`,
    label: alertTexts[context.language].jobs.retry,
    about: key,
  })

/** The comparison with the Call Log has none: it goes on until the access to the Call Log is removed. */
export const discardForm = (context: Context, { id, task, key }: JobOfForm): Html | false => {
  const { jobs: texts } = alertTexts[context.language]
  const warnings: Record<string, string> = texts.warnings
  return (
    task !== 'call_log' &&
    confirmForm(context, {
      id: `discard-job-${id}`,
      open: texts.discard,
      warning: warnings[task] ?? texts.warnings.otherwise,
      path: `/ops/trouble/jobs/${id}/discard`,
      label: texts.discardYes,
      about: key,
    })
  )
}

/** Jobs that failed at every attempt. For the operator only. */
export const failedJobsSection: LoadSection = async (trx, context) => {
  const { jobs: texts, whatNow } = alertTexts[context.language]
  const jobs = await failedJobs(trx, MAX_SHOWN + 1)
  const jobActions = (job: FailedJob) =>
    html`${job.isKnown && retryForm(context, job)} ${discardForm(context, job)}`
  const section = alertSection('jobs', texts, jobs, [
    [texts.job, ({ key }) => html`<code>${key}</code>`],
    [
      texts.error,
      ({ lastError, isKnown }) =>
        html`<bdi
          >${isKnown ? (lastError?.slice(0, 500) ?? texts.noError) : texts.unknownTask}</bdi
        >`,
    ],
    [texts.since, ({ failedAt }) => dateTime(failedAt, context.language, DEFAULT_TIMEZONE)],
    [whatNow, jobActions],
  ])
  const byTask = [...Map.groupBy(jobs.slice(0, MAX_SHOWN), ({ task }) => task)]
  const retryAll = byTask
    .filter(([, same]) => same.length > 1 && same.every(({ isKnown }) => isKnown))
    .map(
      ([task, same]) =>
        html`<div class="row">
          <code>${task}</code>
          ${actionForm(context, {
            path: '/ops/trouble/jobs/retry',
            label: texts.retryAll(section.more ? null : same.length),
            fields: { task },
            about: task,
          })}
        </div>`,
    )
  const allJobs = html`<p><a class="alone" href="/ops/queue">${texts.allJobs}</a></p>`
  return { ...section, body: html`${section.body} ${retryAll} ${allJobs}` }
}
