/** The figures of today and of the last 30 days. */
import { Router } from 'express'
import { DateTime } from 'luxon'
import { type Figures, loadFigures, MONTH_DAYS } from '../../monitoring/daily_figures.ts'
import { type Person, REASONS, type WaitReason, waitingPeople } from '../../outreach/people.ts'
import { LIFT_DAYS } from '../../outreach/control_group.ts'
import { effectOf, type Lift } from '../../outreach/summaries.ts'
import type { ReasonOf } from '../../states.ts'
import type { Context } from './access.ts'
import { isState } from './call_search.ts'
import { funnelChart, hoursChart, liftChart } from './charts.ts'
import { DEFAULT_TIMEZONE, money } from './format.ts'
import { html, table } from './html.ts'
import { type Language, translations } from './language.ts'
import type { Page } from './layout.ts'
import { reportPage, tenantFilter, tenantsFor } from './page.ts'
import { type Campaign, loadEffect } from './today_figures.ts'

type Texts = (typeof todayTexts)['en']

/** `99+` if there are more. */
const MAX_COUNTED = 99

const figure = (value: number | string, label: string, href: string) =>
  html`<li>
    <a href="${href}"><strong>${value}</strong> ${label}</a>
  </li>`

const isReason = (reason: string): reason is keyof Texts['reasons'] =>
  Object.hasOwn(todayTexts.en.reasons, reason)

type Links = ReturnType<typeof linksOf>

/** The lists behind the figures. */
const linksOf = (tenant: string, today: string) => ({
  calls: (state: string, from = today) => `/ops/calls?${tenant}state=${state}&from=${from}`,
  leads: `/ops/leads${tenant && `?${tenant.slice(0, -1)}`}`,
  won: `/ops/leads?${tenant}outcome=won&from=${today}`,
})

/** The first thing on the page. */
const waitingCard = (people: Person[], links: Links, texts: Texts) => {
  const count = people.length
  const reasons = REASONS.map(why => ({
    why,
    n: people.filter(({ waits }) => waits === why).length,
  })).filter(({ n }) => n > 0)
  return html`<a id="waiting" class="card" href="${links.leads}">
    <strong>${count > MAX_COUNTED ? `${MAX_COUNTED}+` : count}</strong>
    <span
      >${texts.people(count)}
      <small
        >${count > MAX_COUNTED ? null : count === 0 ? texts.allClear : reasons.map(({ why, n }) => texts.why[why](n)).join(' · ')}</small
      ></span
    >
  </a>`
}

const skippedCard = (figures: Figures, links: Links, texts: Texts) => {
  const reasons = Object.entries(figures.skipped)
  return html`<section class="card">
    <h2>${texts.skipped}</h2>
    ${reasons.length === 0 && html`<p class="quiet">${texts.skippedNone}</p>`}
    ${
      reasons.length > 0 &&
      html`<ul class="counts">
        ${reasons.map(([reason, count]) => {
          const label = html`${isReason(reason) ? texts.reasons[reason] : reason}
            <strong>${count}</strong>`
          return html`<li>
            ${isState(reason) ? html`<a href="${links.calls(reason)}">${label}</a>` : html`<span>${label}</span>`}
          </li>`
        })}
      </ul>`
    }
  </section>`
}

const campaignsCard = (campaigns: Campaign[], language: Language) => {
  const { campaigns: texts } = todayTexts[language]
  return html`<section class="card" id="campaigns">
    <h2>${texts.title}</h2>
    ${table(campaigns, [
      [texts.name, one => html`<bdi>${one.name || texts.unnamed}</bdi>`, 'wide'],
      [texts.answered, one => one.answered, 'number'],
      [texts.missed, one => one.missed, 'number'],
      [texts.recovered, one => one.recovered, 'number'],
      [
        texts.won,
        one => (one.value > 0 ? `${one.won} (${money(one.value, language)})` : one.won),
        'number',
      ],
    ])}
    <p class="quiet">${texts.about}</p>
  </section>`
}

const effectText = (lift: Lift, { lift: texts }: Texts): string => {
  const effect = effectOf(lift)
  return effect.kind === 'unknown'
    ? texts.unknown
    : texts[effect.kind](effect.points, effect.from, effect.to)
}

const startPage = (context: Context): Page => {
  const texts = todayTexts[context.language]
  const { start } = texts
  return {
    name: 'today',
    title: start.title,
    live: true,
    body: html`<h1>${start.title}</h1>
      <section class="card">
        <p>${start.why}</p>
        <ol>
          ${start.steps.map(step => html`<li>${step}</li>`)}
        </ol>
        <p><a class="button main" href="/ops/tenants/add">${start.add}</a></p>
        <p class="quiet">${start.command}</p>
        <pre>npm run tenant -- add --name "Noa's Salon" --number 072-277-6772</pre>
      </section>`,
  }
}

export const todayPages = Router()

todayPages.get(
  '/',
  reportPage(async (trx, context) => {
    const { language } = context
    const texts = todayTexts[language]
    const choice = await tenantsFor(trx, context)
    const { tenants, tenantId, chosen } = choice
    if (tenants?.length === 0) return startPage(context)
    const day = DateTime.now().setZone(chosen?.timezone ?? DEFAULT_TIMEZONE)
    const date = day.toISODate() ?? ''
    const from = day.minus({ days: MONTH_DAYS - 1 }).toISODate() ?? ''
    const { today, month } = await loadFigures(trx, { tenantId, today: date })
    const effect =
      chosen &&
      (await loadEffect(trx, { tenantId: chosen.id, timezone: chosen.timezone, now: new Date() }))
    const people = await waitingPeople(trx, { tenantId, before: null, limit: MAX_COUNTED + 1 })
    const links = linksOf(tenantId && !context.tenantScope ? `tenant=${tenantId}&` : '', date)
    const step = (label: string, value: number, state: string) => ({
      label,
      value,
      href: links.calls(state, from),
    })
    const amount = money(today.wonValue, language)
    return {
      name: 'today',
      title: texts.title,
      live: true,
      body: html`<div class="row spread">
          <h1>${texts.title}${chosen && html`: <bdi>${chosen.name}</bdi>`}</h1>
          ${tenantFilter('/ops', choice, context)}
        </div>
        ${waitingCard(people, links, texts)}
        <h2>${texts.done}</h2>
        <ul class="figures">
          ${figure(today.missed, texts.missed, links.calls('missed'))}
          ${figure(today.contacted, texts.contacted, links.calls('contacted'))}
          ${figure(today.replied, texts.replied, links.calls('replied'))}
          ${figure(today.reached, texts.reached, links.calls('reached_by_phone'))}
          ${figure(today.won, today.wonValue > 0 ? texts.wonFor(amount) : texts.won, links.won)}
          ${figure(today.waiting, texts.waiting, links.calls('waiting'))}
          ${today.failed > 0 && figure(today.failed, texts.failed, links.calls('failed'))}
          ${today.unknown > 0 && figure(today.unknown, texts.unknown, links.calls('uncertain'))}
        </ul>
        <div class="columns">
          ${hoursChart('hours-today', { title: texts.hoursToday, href: links.calls(''), hours: today.hours }, texts.chart)}
          ${funnelChart(texts.funnel, [
            step(texts.missed, month.missed, 'missed'),
            step(texts.contacted, month.contacted, 'contacted'),
            step(texts.delivered, month.delivered, 'delivered'),
            step(texts.read, month.read, 'read'),
            step(texts.replied, month.replied, 'replied'),
            step(texts.reached, month.reached, 'reached_by_phone'),
          ])}
          ${hoursChart('hours-month', { title: texts.hours30, href: links.calls('', from), hours: month.hours }, texts.chart)}
          ${effect?.lift && liftChart('lift-table', effect.lift, { ...texts.lift, result: effectText(effect.lift, texts) })}
          ${effect && effect.campaigns.length > 0 && campaignsCard(effect.campaigns, language)}
          ${skippedCard(today, links, texts)}
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
    won: 'won',
    wonFor: (amount: string) => `won, for ${amount}`,
    waiting: 'first messages to be sent',
    people: (count: number): string =>
      count === 1 ? 'person waits for your answer' : 'people wait for your answer',
    allClear: 'All clear.',
    why: {
      wrote: (count: number) => `${count} wrote`,
      asked: (count: number) => `${count} asked for a call`,
      called: (count: number) => `${count} called`,
    } satisfies Record<WaitReason, (count: number) => string>,
    done: 'What Ringback did today',
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
      holdout: 'control group',
      shadow: 'trial mode: not really sent',
    } satisfies Record<ReasonOf<'skipped'>, string>,
    hoursToday: 'Calls today, by hour',
    hours30: 'Calls in the last 30 days, by hour of the day',
    funnel: 'Last 30 days: from missed call to reply',
    delivered: 'delivered',
    read: 'read',
    chart: { missed: 'missed', answered: 'answered', hour: 'Hour', asTable: 'As a table' },
    lift: {
      title: `Do the messages help? The last ${LIFT_DAYS} days`,
      unknown: 'Not enough data yet.',
      more: (points: number, from: number, to: number): string =>
        `Because of the messages, ${points} more of 100 callers came back. With 95 percent certainty, it is between ${from} and ${to}.`,
      fewer: (points: number, from: number, to: number): string =>
        `With the messages, ${points} fewer of 100 callers came back. With 95 percent certainty, it is between ${from} and ${to}.`,
      unclear: (_points: number, from: number, to: number): string =>
        `The messages make no clear difference: between ${from} and ${to} of 100 callers, with 95 percent certainty.`,
      about:
        'The control group gets no messages. A caller came back if they wrote or were reached by phone within 48 hours.',
      axis: 'More callers of 100 that came back, with the 95 percent interval',
      asTable: 'As a table',
      head: ['Group', 'Callers', 'Came back', 'Share'],
      arms: { outreach: 'with messages', holdout: 'control group' },
    },
    campaigns: {
      title: 'Last 30 days: calls from advertisements',
      name: 'Campaign',
      unnamed: '(without a name)',
      answered: 'Answered',
      missed: 'Missed',
      recovered: 'Came back',
      won: 'Won',
      about:
        'From the utm_* and gclid of each call. Came back: missed calls whose caller wrote or was reached by phone within 48 hours. All campaigns of any period: Businesses, Export.',
    },
    start: {
      title: 'Welcome to Ringback',
      why: 'When a business misses a call, Ringback writes to the caller on WhatsApp. There is no business yet. This is how to begin:',
      steps: [
        'Add a business: its name, and the number that its customers dial.',
        'Enter the webhook URL, which you get then, in Voicenter’s CPanel. From now on each missed call is listed here.',
        'Connect the WhatsApp number of the business, and choose the quiet times.',
        'Send a test message to the owner, then go live. Until then nothing is sent to callers.',
      ],
      add: 'Add a business',
      command: 'Or on the command line:',
    },
  },
  {
    title: 'היום',
    missed: 'שיחות שלא נענו',
    contacted: 'הודעות שנשלחו',
    replied: 'השיבו',
    reached: 'שוחחו בטלפון',
    won: 'נסגרו',
    wonFor: amount => `נסגרו, ב־${amount}`,
    waiting: 'הודעות ראשונות שיישלחו',
    people: count => (count === 1 ? 'פנייה ממתינה לתשובה' : 'פניות ממתינות לתשובה'),
    allClear: 'הכול מטופל.',
    why: {
      wrote: count => `כתבו: ${count}`,
      asked: count => `ביקשו שיחה: ${count}`,
      called: count => `התקשרו: ${count}`,
    },
    done: 'מה Ringback עשה היום',
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
      holdout: 'קבוצת ביקורת',
      shadow: 'מצב ניסיון: לא נשלח באמת',
    },
    hoursToday: 'השיחות היום, לפי שעה',
    hours30: 'השיחות ב־30 הימים האחרונים, לפי שעה ביום',
    funnel: '30 הימים האחרונים: מהשיחה שלא נענתה ועד התשובה',
    delivered: 'נמסרו',
    read: 'נקראו',
    chart: { missed: 'לא נענו', answered: 'נענו', hour: 'שעה', asTable: 'הצגה כטבלה' },
    lift: {
      title: `האם ההודעות עוזרות? ${LIFT_DAYS} הימים האחרונים`,
      unknown: 'עדיין אין די נתונים.',
      more: (points, from, to) =>
        `בזכות ההודעות חזרו עוד ${points} מכל 100 מתקשרים. בוודאות של 95 אחוז, בין ${from} ל־${to}.`,
      fewer: (points, from, to) =>
        `עם ההודעות חזרו ${points} פחות מכל 100 מתקשרים. בוודאות של 95 אחוז, בין ${from} ל־${to}.`,
      unclear: (_points, from, to) =>
        `אין הבדל ברור: בין \u200e${from} ל־\u200e${to} מכל 100 מתקשרים, בוודאות של 95 אחוז.`,
      about: 'לקבוצת הביקורת לא נשלחות הודעות. ״חזרו״ = כתבו, או שוחחו בטלפון, בתוך 48 שעות.',
      axis: 'כמה מתקשרים נוספים חזרו מכל 100, עם הטווח של 95 אחוז',
      asTable: 'הצגה כטבלה',
      head: ['קבוצה', 'מתקשרים', 'חזרו', 'שיעור'],
      arms: { outreach: 'עם הודעות', holdout: 'קבוצת ביקורת' },
    },
    campaigns: {
      title: '30 הימים האחרונים: שיחות מפרסום',
      name: 'קמפיין',
      unnamed: '(בלי שם)',
      answered: 'נענו',
      missed: 'לא נענו',
      recovered: 'חזרו',
      won: 'נסגרו',
      about:
        'לפי \u200eutm_*\u200e ו־gclid של כל שיחה. ״חזרו״ = שיחות שלא נענו, שאחריהן התקבלה הודעה או הייתה שיחה בטלפון בתוך 48 שעות. כל הקמפיינים בכל תקופה: בעמוד העסק, ייצוא.',
    },
    start: {
      title: 'ברוכים הבאים ל־Ringback',
      why: 'כששיחה לעסק לא נענית, Ringback כותב למי שהתקשר ב־WhatsApp. עדיין אין עסק. כך מתחילים:',
      steps: [
        'מוסיפים עסק: השם שלו, והמספר שהלקוחות מחייגים.',
        'מזינים ב־CPanel של Voicenter את כתובת ה־Webhook שמתקבלת אז. מעכשיו כל שיחה שלא נענתה מופיעה כאן.',
        'מחברים את מספר ה־WhatsApp של העסק, ובוחרים שעות שקט.',
        'שולחים הודעת בדיקה לבעלי העסק, ומפעילים. עד אז לא נשלח דבר למי שהתקשר.',
      ],
      add: 'הוספת עסק',
      command: 'או בשורת הפקודה:',
    },
  },
)
