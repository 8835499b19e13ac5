/** Waiting: who is to be called back, and what is to be sent when. */
import { Router } from 'express'
import { sql } from 'kysely'
import {
  cancelOutreach,
  markCalledBack,
  remindNow,
  sendNow,
} from '../../outreach/operator_actions.ts'
import { CALLBACK_CURSOR, callbacks, UPCOMING_CURSOR, upcoming } from '../../outreach/waiting.ts'
import { queueByTask } from '../../worker/failed_jobs.ts'
import { html } from './html.ts'
import { orSayWhyNot, whence } from './deed_form.ts'
import { span, telephoneText } from './format.ts'
import { deed, ofTenant, page, scopeOf, type Visit } from './page.ts'
import { refuse } from './refuse.ts'
import { chooseTenant, tenantsSeen } from './tenants_seen.ts'
import { callBackSection } from './waiting/call_back.ts'
import { dueSection } from './waiting/due.ts'
import { queueSection } from './waiting/queue.ts'
import { waitingWords } from './words/waiting.ts'

const AT_ONCE = 25

export const waitingPages = Router()

const cursor = ({ given }: Visit, name: string, form: RegExp): string | null => {
  const found = given[name] ?? null
  if (found !== null && !form.test(found)) refuse(404)
  return found
}

/** As many as are shown, and whether there are more. */
const shown = <Row>(rows: Row[]) => ({ rows: rows.slice(0, AT_ONCE), more: rows.length > AT_ONCE })

waitingPages.get(
  '/waiting',
  page(async (trx, visit) => {
    const words = waitingWords[visit.language]
    const tenantId = scopeOf(visit)
    const tenants = await tenantsSeen(trx, visit)
    if (tenantId && !tenants.some(({ id }) => id === tenantId)) refuse(404)
    const before = cursor(visit, 'before', CALLBACK_CURSOR)
    const after = cursor(visit, 'after', UPCOMING_CURSOR)
    const limit = AT_ONCE + 1
    const calls = shown(await callbacks(trx, { tenantId, before, limit }))
    const due = shown(await upcoming(trx, { tenantId, after, limit }))
    const queue = visit.own === null ? await queueByTask(trx) : null
    const { rows } = await sql<{ now: Date }>`select now()`.execute(trx)
    const now = rows[0]?.now ?? new Date()

    const [first] = due.rows
    const overdue =
      first && first.dueAt < now ? (now.getTime() - first.dueAt.getTime()) / 1000 : null
    const oldestJob = queue?.[0]?.oldestDue ?? null
    const count = ({ rows, more }: { rows: unknown[]; more: boolean }) =>
      more ? words.orMore(AT_ONCE) : rows.length
    const age = (seconds: number | null) => (seconds === null ? '–' : span(seconds, visit.language))
    const of = tenantId && !visit.own ? `tenant=${tenantId}&` : ''
    const next = (part: string, label: string) =>
      html`<p><a href="/ops/waiting?${of}${part}">${label}</a></p>`
    return {
      name: 'waiting',
      title: words.title,
      live: true,
      body: html`<div class="row spread">
          <h1>${words.title}</h1>
          ${chooseTenant('/ops/waiting', tenants, visit)}
        </div>
        <ul class="figures">
          <li>
            <a href="#call-back"><strong>${count(calls)}</strong> ${words.figures.callBack}</a>
          </li>
          <li>
            <a href="#due"><strong>${count(due)}</strong> ${words.figures.messages}</a>
          </li>
          <li>
            <a href="#due"><strong>${age(overdue)}</strong> ${words.figures.overdue}</a>
          </li>
          ${
            queue &&
            html`<li>
              <a href="#queue"><strong>${age(oldestJob)}</strong> ${words.figures.oldestJob}</a>
            </li>`
          }
        </ul>
        ${callBackSection(calls.rows, now, visit)}
        ${calls.more && next(`before=${calls.rows.at(-1)?.cursor}`, words.older)}
        ${dueSection(due.rows, visit)}
        ${due.more && next(`after=${due.rows.at(-1)?.cursor}#due`, words.later)}
        ${queue && queueSection(queue, visit.language)}`,
    }
  }),
)

/** The business and the row that a form's path names. */
const rowOf = (visit: Visit) => {
  const { tenant = '', id = '' } = visit.given
  if (!/^[1-9]\d{0,17}$/.test(id)) refuse(404)
  return { tenantId: ofTenant(visit, tenant), id }
}

waitingPages.post(
  '/waiting/:tenant/called-back/:id',
  deed(async (trx, visit, form) => {
    const { tenantId, id } = rowOf(visit)
    const { callBack: words } = waitingWords[visit.language]
    const { phone } = await orSayWhyNot({}, () =>
      markCalledBack(trx, visit.signIn, { tenantId, leadId: id }),
    )
    return { said: words.said(telephoneText(phone)), to: whence(form) }
  }),
)

waitingPages.post(
  '/waiting/:tenant/cancel/:id',
  deed(async (trx, visit, form) => {
    const { tenantId, id } = rowOf(visit)
    const words = waitingWords[visit.language].due
    const became = await orSayWhyNot({}, () =>
      cancelOutreach(trx, visit.signIn, { tenantId, missedCallId: id }),
    )
    return { said: words.said[became], to: whence(form) }
  }),
)

waitingPages.post(
  '/waiting/:tenant/send-now/:id',
  deed(async (trx, visit, form) => {
    const { tenantId, id } = rowOf(visit)
    const words = waitingWords[visit.language].due
    await orSayWhyNot(words.refused, () =>
      sendNow(trx, visit.signIn, { tenantId, missedCallId: id }),
    )
    return { said: words.saidNow, to: whence(form) }
  }),
)

waitingPages.post(
  '/waiting/:tenant/remind-now/:id',
  deed(async (trx, visit, form) => {
    const { tenantId, id } = rowOf(visit)
    const words = waitingWords[visit.language].due
    await orSayWhyNot(words.refused, () =>
      remindNow(trx, visit.signIn, { tenantId, messageId: id }),
    )
    return { said: words.saidNow, to: whence(form) }
  }),
)
