/** The two tables of /ops/waiting. */
import { firstAllowed, isQuiet, quietTimesOf } from '../../outreach/quiet_hours.ts'
import { whyWaiting } from '../../outreach/rules.ts'
import type { UpcomingMessage } from '../../outreach/waiting.ts'
import type { Queued } from '../../worker/failed_jobs.ts'
import type { Context } from './access.ts'
import { duration, relativeDateTime, telephone } from './format.ts'
import { actionForm, confirmForm } from './forms.ts'
import { html, type Html, table } from './html.ts'
import type { Language } from './language.ts'
import { layoutTexts } from './layout.ts'
import { waitingTexts } from './locales/waiting.ts'

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

/** Only messages to callers: a notice is sent at once, so there is nothing to send earlier or to cancel. */
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

export const upcomingSection = (messages: UpcomingMessage[], context: Context): Html => {
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

/** For the operator only. */
export const queueSection = (queue: Queued[], language: Language): Html => {
  const texts = waitingTexts[language].queue
  return html`<section id="queue">
    <h2>${texts.title}</h2>
    <p class="quiet">${texts.help}</p>
    ${
      queue.length === 0
        ? html`<p class="empty">${texts.none}</p>`
        : table(queue, [
            [texts.task, ({ task }) => html`<code>${task}</code>`],
            [
              texts.oldest,
              ({ oldestDue }) => (oldestDue === null ? '–' : duration(oldestDue, language)),
            ],
            [texts.due, ({ due }) => due],
            [texts.retrying, ({ retrying }) => retrying],
            [texts.running, ({ running }) => running],
            [texts.future, ({ future }) => future],
            [
              texts.failed,
              ({ dead }) => (dead ? html`<a href="/ops/trouble#jobs">${dead}</a>` : 0),
            ],
          ])
    }
  </section>`
}
