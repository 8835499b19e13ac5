import { Router } from 'express'
import { DateTime } from 'luxon'
import { callbacks } from '../../outreach/waiting.ts'
import { html } from './html.ts'
import { HOME } from './format.ts'
import { page, scopeOf } from './page.ts'
import { funnelPlot, hoursPlot } from './plot.ts'
import { refuse } from './refuse.ts'
import { chooseTenant, tenantsSeen } from './tenants_seen.ts'
import { callsByHour, type Figures, figuresSince, lastMonth } from './today_figures.ts'
import { todayWords } from './words/today.ts'

type Words = (typeof todayWords)['en']

/** More are not counted. */
const MANY = 99

/** One figure, and where it leads. */
const figure = (value: number | string, label: string, href: string) =>
  html`<li>
    <a href="${href}"><strong>${value}</strong> ${label}</a>
  </li>`

const SKIPPED = Object.keys(todayWords.en.reasons)
const isReason = (reason: string): reason is keyof Words['reasons'] => SKIPPED.includes(reason)

const skipped = (figures: Figures, words: Words) => {
  const reasons = Object.entries(figures.skipped)
  return html`<section class="card">
    <h2>${words.skipped}</h2>
    ${reasons.length === 0 && html`<p class="quiet">${words.skippedNone}</p>`}
    ${
      reasons.length > 0 &&
      html`<dl class="values">
        ${reasons.map(
          ([reason, count]) =>
            html`<dt>${isReason(reason) ? words.reasons[reason] : reason}</dt>
              <dd>${count}</dd>`,
        )}
      </dl>`
    }
  </section>`
}

export const todayPages = Router()

todayPages.get(
  '/',
  page(async (trx, visit) => {
    const words = todayWords[visit.language]
    const tenantId = scopeOf(visit)
    const tenants = await tenantsSeen(trx, visit)
    const chosen = tenants.find(({ id }) => id === tenantId)
    if (tenantId && !chosen) refuse(404)
    const whose = { tenantId, timezone: chosen?.timezone ?? HOME }
    const today = await figuresSince(trx, whose, 0)
    const { figures: month, hours } = await lastMonth(trx, whose, new Date())
    const callBack = await callbacks(trx, { tenantId, before: null, limit: MANY + 1 })
    const of = tenantId && !visit.own ? `tenant=${tenantId}&` : ''
    const day = DateTime.now().setZone(whose.timezone).toISODate()
    const calls = (state: string) => `/ops/calls?${of}state=${state}&from=${day}`
    return {
      name: 'today',
      title: words.title,
      live: true,
      body: html`<div class="row spread">
          <h1>${words.title}${chosen && html`: <bdi>${chosen.name}</bdi>`}</h1>
          ${chooseTenant('/ops', tenants, visit)}
        </div>
        ${
          tenants.length === 0 &&
          html`<p class="empty">
            ${words.noTenants} <a href="/ops/tenants">${words.addTenant}</a>
          </p>`
        }
        <ul class="figures">
          ${figure(today.missed, words.missed, calls('missed'))}
          ${figure(today.contacted, words.contacted, calls('contacted'))}
          ${figure(today.replied, words.replied, calls('replied'))}
          ${figure(today.reached, words.reached, calls('reached_by_phone'))}
          ${figure(callBack.length > MANY ? `${MANY}+` : callBack.length, words.callBack, `/ops/waiting${of && `?${of}`}`)}
          ${figure(today.waiting, words.waiting, `/ops/waiting${of && `?${of}`}`)}
          ${today.failed > 0 && figure(today.failed, words.failed, calls('failed'))}
          ${today.unknown > 0 && figure(today.unknown, words.unknown, '/ops/trouble')}
        </ul>
        <div class="columns">
          ${hoursPlot('hours-today', words.hoursToday, await callsByHour(trx, whose, 0), words.plot)}
          ${skipped(today, words)}
          ${funnelPlot(words.funnel, [
            { label: words.missed, value: month.missed },
            { label: words.contacted, value: month.contacted },
            { label: words.delivered, value: month.delivered },
            { label: words.read, value: month.read },
            { label: words.replied, value: month.replied },
            { label: words.reached, value: month.reached },
          ])}
          ${hoursPlot('hours-month', words.hours30, hours, words.plot)}
        </div>`,
    }
  }),
)
