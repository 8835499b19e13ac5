/** Which messages will be sent when, and the background jobs. */
import { Router } from 'express'
import { sql } from 'kysely'
import { cancelOutreach, remindNow, sendNow } from '../../outreach/operator_actions.ts'
import { firstAllowed, isQuiet, quietTimesOf } from '../../outreach/quiet_hours.ts'
import { whyWaiting } from '../../outreach/rules.ts'
import { upcoming, UPCOMING_CURSOR, type UpcomingMessage } from '../../outreach/waiting.ts'
import { queueByTask } from '../../worker/queue.ts'
import type { Context } from './access.ts'
import { orAbort } from './errors.ts'
import { duration, relativeDateTime, telephone } from './format.ts'
import { actionForm, confirmForm, returnPath } from './forms.ts'
import { html, type Html, table } from './html.ts'
import { layoutTexts } from './layout.ts'
import { alertTexts } from './locales/alerts.ts'
import { waitingTexts } from './locales/waiting.ts'
import {
  action,
  allowedTenant,
  cursorParam,
  idParam,
  reportPage,
  tenantFilter,
  tenantsFor,
} from './page.ts'

const PAGE_SIZE = 25

/** @param rows one more than PAGE_SIZE if there are more */
const firstPage = <Row>(rows: Row[]) => ({
  rows: rows.slice(0, PAGE_SIZE),
  more: rows.length > PAGE_SIZE,
})

export const waitingPages = Router()

waitingPages.get(
  '/waiting',
  reportPage(async (trx, context) => {
    const texts = waitingTexts[context.language]
    const choice = await tenantsFor(trx, context)
    const { tenantId } = choice
    const after = cursorParam(context, UPCOMING_CURSOR, 'after')
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
          ${tenantFilter('/ops/waiting', choice, context)}
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
              <a href="/ops/queue"
                ><strong>${age(queue.tasks[0]?.oldestDue ?? null)}</strong>
                ${texts.figures.oldestJob}</a
              >
            </li>`
          }
        </ul>
        ${upcomingSection(due.rows, context)}
        ${due.more && next(`after=${due.rows.at(-1)?.cursor}#due`, texts.later)}
        ${queue && html`<p><a class="alone" href="/ops/queue">${alertTexts[context.language].jobs.allJobs}</a></p>`}`,
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

const person = ({ name }: { name: string | null }, number: Html) =>
  html`${number}${name && html`<br /><bdi>${name}</bdi>`}`

/** Quiet windows that were set since move the message, as its claim will find. */
const sendsAt = (message: UpcomingMessage): Date => {
  const { kind, dueAt, now, phone } = message
  const quiet = quietTimesOf(kind, message)
  const at = firstAllowed(dueAt, quiet, phone ?? undefined)
  return at <= now && isQuiet(now, quiet) ? firstAllowed(now, quiet, phone ?? undefined) : at
}

/** A message is sent within a second of its time, but sending itself may take a while. */
const OVERDUE_AFTER_MS = 60_000

/** Only messages to callers have actions. A notice to the owner cannot be sent earlier or cancelled. */
const rowActions = (message: UpcomingMessage, context: Context): Html | false => {
  const { tenantId, kind, id, missedCallId, phone } = message
  const texts = waitingTexts[context.language].due
  if (!missedCallId) return false
  const now = kind === 'initial' ? `send-now/${id}` : `remind-now/${id}`
  return html`${actionForm(context, {
    path: `/ops/waiting/${tenantId}/${now}`,
    label: texts.sendNow,
    about: phone,
  })}
  ${confirmForm(context, {
    id: `cancel-${kind}-${id}`,
    open: texts.cancel,
    warning: texts.cancelMeans,
    path: `/ops/waiting/${tenantId}/cancel/${missedCallId}`,
    label: texts.cancelYes,
    about: phone,
  })}`
}

/** Bold if a person can do something about it. */
const waitingReason = (message: UpcomingMessage, { language }: Context) => {
  const why = whyWaiting(message)
  const text = waitingTexts[language].due.whys[why]
  return ['not_yet', 'any_moment', 'shadow', 'quiet'].includes(why) ? text : html`<b>${text}</b>`
}

const upcomingSection = (messages: UpcomingMessage[], context: Context): Html => {
  const { due: texts } = waitingTexts[context.language]
  const { business } = layoutTexts[context.language]
  return html`<section id="due">
    <h2>${texts.title}</h2>
    ${
      messages.length === 0
        ? html`<p class="empty">${texts.none}</p>`
        : table(messages, [
            [
              texts.due,
              message => {
                const { now, timezone, isInCall } = message
                const at = sendsAt(message)
                return html`${relativeDateTime(at, now, context.language, timezone)}
                ${
                  !isInCall &&
                  now.getTime() - at.getTime() > OVERDUE_AFTER_MS &&
                  html`<br /><span class="badge warn">${texts.overdue}</span>`
                }`
              },
            ],
            [texts.to, one => person(one, telephone(one.phone))],
            context.tenantScope === null && [business, ({ tenant }) => html`<bdi>${tenant}</bdi>`],
            [
              texts.what,
              ({ kind, missedCallId }) =>
                missedCallId
                  ? html`<a href="/ops/calls/missed/${missedCallId}">${texts.kinds[kind]}</a>`
                  : texts.kinds[kind],
            ],
            [texts.why, one => waitingReason(one, context)],
            [texts.actions, one => rowActions(one, context)],
          ])
    }
  </section>`
}
