import { Router } from 'express'
import { sql } from 'kysely'
import type { Trx } from '../../db/kysely.ts'
import { html, type Html } from './html.ts'
import { telephone, when } from './format.ts'
import { page, scopeOf, type Visit } from './page.ts'
import { table } from './table.ts'
import { logWords } from './words/log.ts'

const AT_ONCE = 50

type Deed = {
  id: string
  at: Date
  who: string
  action: string
  subject: string
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  /** Of whom it was, where she is still known: the log itself names nobody. */
  phone: string | null
}

const deeds = async (trx: Trx, tenantId: string | null, before: string | null): Promise<Deed[]> => {
  const { rows } = await sql<Deed>`
    with deeds as (
      select *, split_part(subject, ' ', 1) as kind, substring(subject from '^\\w+ ([0-9]{1,18})$')::bigint as subject_id
      from audit_log
      where (${tenantId}::bigint is null or tenant_id = ${tenantId}) and (${before}::bigint is null or id < ${before})
      order by id desc limit ${AT_ONCE}
    )
    select d.id, d.at, d.who, d.action, d.subject, d.before, d.after, coalesce(l.phone, m.caller_phone) as phone
    from deeds d
    left join leads l on d.kind = 'leads' and l.id = d.subject_id
    left join missed_calls m on d.kind = 'missed_calls' and m.id = d.subject_id
    order by d.id desc`.execute(trx)
  return rows
}

const whoIn = (who: string, words: (typeof logWords)['en']): Html =>
  who === 'operator'
    ? html`${words.operator}`
    : who === 'command line'
      ? html`${words.commandLine}`
      : html`<a href="/ops/tenants/${who.replace('tenant ', '')}"><bdi>${who}</bdi></a>`

const PAGE_OF: Record<string, string> = {
  missed_calls: '/ops/calls/missed/',
  raw_cdrs: '/ops/calls/',
  tenants: '/ops/tenants/',
}

/** What it was done to, and where that can be seen. */
const subjectIn = ({ subject, phone }: Deed): Html => {
  const [kind = '', id = ''] = subject.split(' ')
  const name = phone ? telephone(phone) : html`<code dir="ltr">${subject}</code>`
  const path = kind === 'leads' && phone ? `/ops/calls?number=${encodeURIComponent(phone)}` : null
  const page = path ?? (PAGE_OF[kind] && /^\d+$/.test(id) ? `${PAGE_OF[kind]}${id}` : null)
  return page ? html`<a href="${page}">${name}</a>` : name
}

const A_MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/

const valueOf = (value: unknown, { language }: Visit): Html => {
  if (value === null || value === undefined || value === '')
    return html`${logWords[language].nothing}`
  if (typeof value === 'string' && A_MOMENT.test(value)) return when(new Date(value), language)
  return html`<bdi>${typeof value === 'string' ? value : JSON.stringify(value)}</bdi>`
}

/** One line for each thing that changed: from what to what. */
const changesIn = ({ before, after }: Deed, visit: Visit): Html => {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  return html`<dl class="values">
    ${names.map(
      name =>
        html`<dt>${name}</dt>
          <dd>
            ${before && name in before && html`${valueOf(before[name], visit)} → `}
            ${valueOf(after?.[name], visit)}
          </dd>`,
    )}
  </dl>`
}

export const logPages = Router()

logPages.get(
  '/log',
  page(async (trx, visit) => {
    const words = logWords[visit.language]
    const actions: Record<string, string> = words.actions
    const { before = '' } = visit.given
    const rows = await deeds(trx, scopeOf(visit), /^\d{1,18}$/.test(before) ? before : null)
    const last = rows.length === AT_ONCE && rows.at(-1)
    return {
      name: 'log',
      title: words.title,
      body: html`<h1>${words.title}</h1>
        ${rows.length === 0 && html`<p class="empty">${words.none}</p>`}
        ${
          rows.length > 0 &&
          table(rows, [
            [words.when, ({ at }) => when(at, visit.language)],
            [words.who, ({ who }) => whoIn(who, words)],
            [words.what, ({ action }) => html`${actions[action] ?? action}`],
            [words.to, subjectIn],
            [words.changed, deed => changesIn(deed, visit)],
          ])
        }
        ${last && html`<p><a class="button" href="/ops/log?before=${last.id}">${words.older}</a></p>`}`,
    }
  }),
)
