/** What needs attention, and the actions that solve it. */
import { Router } from 'express'
import { z } from 'zod'
import { resolveUnknown } from '../../messages/statuses.ts'
import { discardDelivery } from '../../rejected_deliveries.ts'
import { rereadDeliveries } from '../reread_rejected.ts'
import { connectionStateChange, setConnectionState } from '../../tenants/connections.ts'
import { addNumber, tenantNumber } from '../../tenants/tenants.ts'
import { TEMPLATE_KINDS } from '../../tenants/template_change.ts'
import { resumeTemplates } from '../../tenants/templates.ts'
import { discardJob, discardJobs, retryJobs } from '../../worker/failed_jobs.ts'
import type { Context } from './access.ts'
import {
  deliveryPage,
  failedJobsSection,
  rejectedDeliveries,
  unknownMessages,
} from './alert_failures.ts'
import {
  type AlertSection,
  disabledEndpoints,
  failingCallLogs,
  type LoadSection,
  pausedSenders,
  popupAlerts,
  silentWebhooks,
  unknownSenders,
  unmatchedNumbers,
} from './alert_sections.ts'
import { abort, orAbort } from './errors.ts'
import { returnPath } from './forms.ts'
import { html } from './html.ts'
import { layoutTexts } from './layout.ts'
import { alertTexts } from './locales/alerts.ts'
import {
  action,
  allowedTenant,
  idParam,
  operatorOnly,
  page,
  tenantFilter,
  tenantsFor,
} from './page.ts'
import type { Form } from './sign_in_form.ts'

/** What prevents messages to callers comes first. */
const TENANT_SECTIONS: LoadSection[] = [
  pausedSenders,
  unmatchedNumbers,
  silentWebhooks,
  unknownMessages,
  rejectedDeliveries,
  popupAlerts,
  disabledEndpoints,
  failingCallLogs,
]
const OPERATOR_SECTIONS: LoadSection[] = [failedJobsSection, unknownSenders]

const sectionCard = (section: AlertSection, onlyNewest: string) =>
  html`<section id="${section.id}" class="card">
    <h2>${section.title} <span class="badge bad">${section.count}${section.more && '+'}</span></h2>
    <p class="quiet">${section.help}</p>
    ${section.body} ${section.more && html`<p class="quiet">${onlyNewest}</p>`}
  </section>`

export const alertPages = Router()

alertPages.get(
  '/trouble',
  page(async (trx, context) => {
    const texts = alertTexts[context.language]
    const { alerts: title } = layoutTexts[context.language]
    const choice = await tenantsFor(trx, context)
    const { tenantId } = choice
    const sections: AlertSection[] = []
    for (const load of TENANT_SECTIONS) sections.push(await load(trx, context, tenantId))
    if (tenantId === null)
      for (const load of OPERATOR_SECTIONS) sections.push(await load(trx, context, null))
    const count = sections.reduce((sum, section) => sum + section.count, 0)
    const more = sections.some(section => section.more)
    const found = sections.filter(section => section.count > 0)
    return {
      name: 'alerts',
      title,
      live: true,
      body: html`<div class="row spread">
          <h1>${title}</h1>
          ${tenantFilter('/ops/trouble', choice, context)}
        </div>
        <p>
          ${
            count === 0
              ? html`<span class="badge good">${texts.allClear}</span>`
              : html`<strong>${texts.count(count, more)}</strong>`
          }
        </p>
        ${
          count > 0 &&
          html`<ul class="figures">
            ${found.map(
              section =>
                html`<li>
                  <a href="#${section.id}"
                    ><strong>${section.count}${section.more && '+'}</strong> ${section.title}</a
                  >
                </li>`,
            )}
          </ul>`
        }
        ${found.map(section => sectionCard(section, texts.onlyNewest))}
        ${count > 0 && found.length < sections.length && html`<p class="quiet">${texts.restIsFine}</p>`}`,
    }
  }),
)

alertPages.get(
  '/trouble/deliveries/:id',
  page(async (trx, context) => ({
    name: 'alerts',
    title: alertTexts[context.language].deliveries.one,
    body: await deliveryPage(trx, context, idParam(context)),
  })),
)

/** The delivery in the path, or all that were rejected for the same reason. */
const deliveriesIn = (context: Context, form: Form) => ({
  id: idParam(context),
  tenantId: context.tenantScope,
  alike: form['alike'] === 'yes',
})

alertPages.post(
  '/trouble/deliveries/:id/discard',
  action(async (trx, context, form) => {
    const { deliveries: texts } = alertTexts[context.language]
    const which = deliveriesIn(context, form)
    const count = await orAbort({}, () => discardDelivery(trx, context.signIn, which))
    return { flash: texts.discarded(count), to: returnPath(form) }
  }),
)

alertPages.post(
  '/trouble/deliveries/:id/reread',
  action(async (trx, context, form) => {
    const { deliveries: texts } = alertTexts[context.language]
    const which = deliveriesIn(context, form)
    const counts = await orAbort({}, () => rereadDeliveries(trx, context.signIn, which))
    return { flash: texts.wasReread(counts), to: returnPath(form) }
  }),
)

alertPages.post(
  '/trouble/numbers',
  action(async (trx, context, form) => {
    const { numbers: texts, refused } = alertTexts[context.language]
    const wanted = tenantNumber.parse({ tenantId: form['tenant'], phone: form['phone'] })
    operatorOnly(context)
    const { reclassified } = await orAbort(refused, () => addNumber(trx, context.signIn, wanted))
    return { flash: texts.added(reclassified), to: returnPath(form) }
  }),
)

alertPages.post(
  '/trouble/:tenant/messages/:id/:result',
  action(async (trx, context, form) => {
    const { unknown: texts, refused } = alertTexts[context.language]
    const { tenant, result } = context.params
    if (result !== 'arrived' && result !== 'lost') abort(404)
    const arrived = result === 'arrived'
    const which = {
      tenantId: allowedTenant(context, tenant),
      messageId: idParam(context),
      arrived,
    }
    await orAbort(refused, () => resolveUnknown(trx, context.signIn, which))
    return { flash: arrived ? texts.markedArrived : texts.markedLost, to: returnPath(form) }
  }),
)

alertPages.post(
  '/trouble/:tenant/resume',
  action(async (trx, context, form) => {
    const tenantId = allowedTenant(context, context.params['tenant'])
    await orAbort({}, async () => {
      if (form['kind'] === undefined) {
        const { phoneNumberId } = form
        const wanted = connectionStateChange.parse({ tenantId, phoneNumberId, state: 'active' })
        await setConnectionState(trx, context.signIn, wanted)
      } else {
        const kind = z.enum(TEMPLATE_KINDS).parse(form['kind'])
        await resumeTemplates(trx, context.signIn, { tenantId, kind })
      }
    })
    return { flash: alertTexts[context.language].paused.resumed, to: returnPath(form) }
  }),
)

/** The failed jobs of a task; `error`: only those with this error (queue.ts). */
const failedOfTask = z.object({
  task: z.string().max(128),
  error: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
})

alertPages.post(
  '/trouble/jobs/retry',
  action(async (trx, context, form) => {
    operatorOnly(context)
    const { jobs: texts } = alertTexts[context.language]
    const which = failedOfTask.parse(form)
    const count = await orAbort({}, () => retryJobs(trx, context.signIn, which))
    return { flash: texts.retried(count), to: returnPath(form) }
  }),
)

alertPages.post(
  '/trouble/jobs/discard',
  action(async (trx, context, form) => {
    operatorOnly(context)
    const { jobs: texts, refused } = alertTexts[context.language]
    const which = failedOfTask.parse(form)
    const count = await orAbort(refused, () => discardJobs(trx, context.signIn, which))
    return { flash: texts.discarded(count), to: returnPath(form) }
  }),
)

alertPages.post(
  '/trouble/jobs/:id/retry',
  action(async (trx, context, form) => {
    operatorOnly(context)
    const { jobs: texts } = alertTexts[context.language]
    const which = { jobId: idParam(context) }
    const count = await orAbort({}, () => retryJobs(trx, context.signIn, which))
    return { flash: texts.retried(count), to: returnPath(form) }
  }),
)

alertPages.post(
  '/trouble/jobs/:id/discard',
  action(async (trx, context, form) => {
    operatorOnly(context)
    const { jobs: texts, refused } = alertTexts[context.language]
    await orAbort(refused, () => discardJob(trx, context.signIn, idParam(context)))
    return { flash: texts.discarded(1), to: returnPath(form) }
  }),
)
