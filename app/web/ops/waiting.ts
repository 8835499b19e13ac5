/** Which messages will be sent when, and the background jobs. */
import { Router } from 'express'
import { sql } from 'kysely'
import { cancelOutreach, remindNow, sendNow } from '../../outreach/operator_actions.ts'
import { upcoming, UPCOMING_CURSOR } from '../../outreach/waiting.ts'
import { queueByTask } from '../../worker/failed_jobs.ts'
import type { Context } from './access.ts'
import { abort, orAbort } from './errors.ts'
import { duration } from './format.ts'
import { returnPath } from './forms.ts'
import { html } from './html.ts'
import { waitingTexts } from './locales/waiting.ts'
import { action, allowedTenant, idParam, page, tenantFilter, tenantsFor } from './page.ts'
import { queueSection, upcomingSection } from './waiting_sections.ts'

const PAGE_SIZE = 25

const cursorParam = ({ params }: Context, name: string, format: RegExp): string | null => {
  const cursor = params[name] ?? null
  return cursor === null || format.test(cursor) ? cursor : abort(404)
}

/** @param rows one more than PAGE_SIZE if there are more */
const firstPage = <Row>(rows: Row[]) => ({
  rows: rows.slice(0, PAGE_SIZE),
  more: rows.length > PAGE_SIZE,
})

export const waitingPages = Router()

waitingPages.get(
  '/waiting',
  page(async (trx, context) => {
    const texts = waitingTexts[context.language]
    const { tenants, tenantId } = await tenantsFor(trx, context)
    const after = cursorParam(context, 'after', UPCOMING_CURSOR)
    const limit = PAGE_SIZE + 1
    const due = firstPage(await upcoming(trx, { tenantId, after, limit }))
    const queue = context.tenantScope === null ? await queueByTask(trx) : null
    const { rows } = await sql<{ now: Date }>`select now()`.execute(trx)
    const now = rows[0]?.now ?? new Date()

    const [first] = due.rows
    const overdue =
      first && first.dueAt < now ? (now.getTime() - first.dueAt.getTime()) / 1000 : null
    const count = ({ rows, more }: { rows: unknown[]; more: boolean }) =>
      more ? `${PAGE_SIZE}+` : rows.length
    const age = (seconds: number | null) =>
      seconds === null ? '–' : duration(seconds, context.language)
    const tenant = tenantId && !context.tenantScope ? `tenant=${tenantId}&` : ''
    const next = (cursor: string, label: string) =>
      html`<p><a href="/ops/waiting?${tenant}${cursor}">${label}</a></p>`
    return {
      name: 'waiting',
      title: texts.title,
      live: true,
      body: html`<div class="row spread">
          <h1>${texts.title}</h1>
          ${tenantFilter('/ops/waiting', tenants, context)}
        </div>
        <ul class="figures">
          <li>
            <a href="#due"><strong>${count(due)}</strong> ${texts.figures.messages}</a>
          </li>
          <li>
            <a href="#due"><strong>${age(overdue)}</strong> ${texts.figures.overdue}</a>
          </li>
          ${
            queue &&
            html`<li>
              <a href="#queue"
                ><strong>${age(queue[0]?.oldestDue ?? null)}</strong> ${texts.figures.oldestJob}</a
              >
            </li>`
          }
        </ul>
        ${upcomingSection(due.rows, context)}
        ${due.more && next(`after=${due.rows.at(-1)?.cursor}#due`, texts.later)}
        ${queue && queueSection(queue, context.language)}`,
    }
  }),
)

const tenantParam = (context: Context) => allowedTenant(context, context.params['tenant'])

waitingPages.post(
  '/waiting/:tenant/cancel/:id',
  action(async (trx, context, form) => {
    const which = { tenantId: tenantParam(context), missedCallId: idParam(context) }
    const result = await orAbort({}, () => cancelOutreach(trx, context.signIn, which))
    return { flash: waitingTexts[context.language].due.cancelled[result], to: returnPath(form) }
  }),
)

waitingPages.post(
  '/waiting/:tenant/send-now/:id',
  action(async (trx, context, form) => {
    const which = { tenantId: tenantParam(context), missedCallId: idParam(context) }
    const { due: texts } = waitingTexts[context.language]
    await orAbort(texts.refused, () => sendNow(trx, context.signIn, which))
    return { flash: texts.sentNow, to: returnPath(form) }
  }),
)

waitingPages.post(
  '/waiting/:tenant/remind-now/:id',
  action(async (trx, context, form) => {
    const which = { tenantId: tenantParam(context), messageId: idParam(context) }
    const { due: texts } = waitingTexts[context.language]
    await orAbort(texts.refused, () => remindNow(trx, context.signIn, which))
    return { flash: texts.sentNow, to: returnPath(form) }
  }),
)
