/** The figures of today and of the last 30 days. */
import { Router } from 'express'
import { DateTime } from 'luxon'
import { waitingPeople } from '../../outreach/people.ts'
import type { ReasonOf } from '../../states.ts'
import { funnelChart, hoursChart } from './charts.ts'
import { DEFAULT_TIMEZONE } from './format.ts'
import { html } from './html.ts'
import { translations } from './language.ts'
import { page, tenantFilter, tenantsFor } from './page.ts'
import { type Figures, loadCallsByHour, loadFigures, loadLast30Days } from './today_figures.ts'

type Texts = (typeof todayTexts)['en']

/** `99+` if there are more. */
const MAX_COUNTED = 99

const figure = (value: number | string, label: string, href: string) =>
  html`<li>
    <a href="${href}"><strong>${value}</strong> ${label}</a>
  </li>`

const isReason = (reason: string): reason is keyof Texts['reasons'] =>
  Object.hasOwn(todayTexts.en.reasons, reason)

const skippedCard = (figures: Figures, texts: Texts) => {
  const reasons = Object.entries(figures.skipped)
  return html`<section class="card">
    <h2>${texts.skipped}</h2>
    ${reasons.length === 0 && html`<p class="quiet">${texts.skippedNone}</p>`}
    ${
      reasons.length > 0 &&
      html`<dl class="values">
        ${reasons.map(
          ([reason, count]) =>
            html`<dt>${isReason(reason) ? texts.reasons[reason] : reason}</dt>
              <dd>${count}</dd>`,
        )}
      </dl>`
    }
  </section>`
}

export const todayPages = Router()

todayPages.get(
  '/',
  page(async (trx, context) => {
    const texts = todayTexts[context.language]
    const { tenants, tenantId, chosen } = await tenantsFor(trx, context)
    const scope = { tenantId, timezone: chosen?.timezone ?? DEFAULT_TIMEZONE }
    const today = await loadFigures(trx, scope, 0)
    const { figures: month, hours } = await loadLast30Days(trx, scope, new Date())
    const callBack = await waitingPeople(trx, { tenantId, before: null, limit: MAX_COUNTED + 1 })
    const tenant = tenantId && !context.tenantScope ? `tenant=${tenantId}&` : ''
    const day = DateTime.now().setZone(scope.timezone).toISODate()
    const calls = (state: string) => `/ops/calls?${tenant}state=${state}&from=${day}`
    const waiting = `/ops/waiting${tenant && `?${tenant}`}`
    const leads = `/ops/leads${tenant && `?${tenant}`}`
    return {
      name: 'today',
      title: texts.title,
      live: true,
      body: html`<div class="row spread">
          <h1>${texts.title}${chosen && html`: <bdi>${chosen.name}</bdi>`}</h1>
          ${tenantFilter('/ops', tenants, context)}
        </div>
        ${
          tenants.length === 0 &&
          html`<p class="empty">
            ${texts.noTenants} <a href="/ops/tenants">${texts.addTenant}</a>
          </p>`
        }
        <ul class="figures">
          ${figure(today.missed, texts.missed, calls('missed'))}
          ${figure(today.contacted, texts.contacted, calls('contacted'))}
          ${figure(today.replied, texts.replied, calls('replied'))}
          ${figure(today.reached, texts.reached, calls('reached_by_phone'))}
          ${figure(callBack.length > MAX_COUNTED ? `${MAX_COUNTED}+` : callBack.length, texts.callBack, leads)}
          ${figure(today.waiting, texts.waiting, waiting)}
          ${today.failed > 0 && figure(today.failed, texts.failed, calls('failed'))}
          ${today.unknown > 0 && figure(today.unknown, texts.unknown, '/ops/trouble')}
        </ul>
        <div class="columns">
          ${hoursChart('hours-today', texts.hoursToday, await loadCallsByHour(trx, scope, 0), texts.chart)}
          ${skippedCard(today, texts)}
          ${funnelChart(texts.funnel, [
            { label: texts.missed, value: month.missed },
            { label: texts.contacted, value: month.contacted },
            { label: texts.delivered, value: month.delivered },
            { label: texts.read, value: month.read },
            { label: texts.replied, value: month.replied },
            { label: texts.reached, value: month.reached },
          ])}
          ${hoursChart('hours-month', texts.hours30, hours, texts.chart)}
        </div>`,
    }
  }),
)

const todayTexts = translations(
  {
    title: 'Today',
    missed: 'missed calls',
    contacted: 'messages sent',
    replied: 'replied',
    reached: 'reached by phone',
    waiting: 'messages to be sent',
    callBack: 'people wait for an answer',
    failed: 'messages failed',
    unknown: 'messages with unknown delivery',
    skipped: 'Calls without a message',
    skippedNone: 'There are none.',
    reasons: {
      withheld_number: 'number withheld',
      own_number: 'number of the business itself',
      excluded: 'excluded number',
      not_mobile: 'not a mobile number',
      opted_out: 'asked for no messages',
      tenant_paused: 'business was paused',
      no_connection: 'no WhatsApp number connected',
      already_contacted: 'already contacted after another call',
      too_late: 'too late',
      shadow: 'trial mode: not really sent',
    } satisfies Record<ReasonOf<'skipped'>, string>,
    hoursToday: 'Calls today, by hour',
    hours30: 'Calls in the last 30 days, by hour of the day',
    funnel: 'Last 30 days: from missed call to reply',
    delivered: 'delivered',
    read: 'read',
    chart: { missed: 'missed', answered: 'answered', hour: 'Hour', asTable: 'As a table' },
    noTenants: 'There are no businesses yet.',
    addTenant: 'Add the first one',
  },
  {
    title: 'היום',
    missed: 'שיחות שלא נענו',
    contacted: 'הודעות שנשלחו',
    replied: 'השיבו',
    reached: 'שוחחו בטלפון',
    waiting: 'הודעות שיישלחו',
    callBack: 'פניות ממתינות לתשובה',
    failed: 'הודעות שנכשלו',
    unknown: 'הודעות שלא ידוע אם הגיעו',
    skipped: 'שיחות בלי הודעה',
    skippedNone: 'אין כאלה.',
    reasons: {
      withheld_number: 'מספר חסוי',
      own_number: 'מספר של העסק עצמו',
      excluded: 'מספר מוחרג',
      not_mobile: 'לא מספר נייד',
      opted_out: 'ביקשו לא לקבל הודעות',
      tenant_paused: 'העסק היה מושהה',
      no_connection: 'לא מחובר מספר WhatsApp',
      already_contacted: 'כבר נשלחה הודעה על שיחה אחרת',
      too_late: 'מאוחר מדי',
      shadow: 'מצב ניסיון: לא נשלח באמת',
    },
    hoursToday: 'השיחות היום, לפי שעה',
    hours30: 'השיחות ב־30 הימים האחרונים, לפי שעה ביום',
    funnel: '30 הימים האחרונים: מהשיחה שלא נענתה ועד התשובה',
    delivered: 'נמסרו',
    read: 'נקראו',
    chart: { missed: 'לא נענו', answered: 'נענו', hour: 'שעה', asTable: 'הצגה כטבלה' },
    noTenants: 'עדיין אין עסקים.',
    addTenant: 'הוספת העסק הראשון',
  },
)
