/** Trouble: whatever needs a person, and the deed that ends it. */
import { Router } from 'express'
import { html } from './html.ts'
import { page, scopeOf } from './page.ts'
import { refuse } from './refuse.ts'
import { chooseTenant, tenantsSeen } from './tenants_seen.ts'
import { failingCallLogs } from './trouble/call_log.ts'
import { refusedDeliveries } from './trouble/deliveries.ts'
import { idOf, troubleDeeds } from './trouble/deeds.ts'
import { deliveryBody } from './trouble/delivery.ts'
import { deadJobsOf } from './trouble/jobs.ts'
import { unmatchedNumbers } from './trouble/numbers.ts'
import { pausedSenders } from './trouble/paused.ts'
import type { Section, ShowSection } from './trouble/section.ts'
import { silentBusinesses } from './trouble/silent.ts'
import { strangeEvents } from './trouble/strangers.ts'
import { unknownMessages } from './trouble/unknown.ts'
import { troubleWords } from './words/trouble.ts'

/** What keeps customers from being answered first. */
const SECTIONS: ShowSection[] = [
  pausedSenders,
  unmatchedNumbers,
  silentBusinesses,
  unknownMessages,
  refusedDeliveries,
  failingCallLogs,
]
/** What belongs to no business. */
const OPERATORS: ShowSection[] = [deadJobsOf, strangeEvents]

export const troublePages = Router()
troublePages.use(troubleDeeds)

const sectionOf = (section: Section, words: (typeof troubleWords)['en']) =>
  html`<section id="${section.id}" class="card">
    <h2>${section.title} <span class="badge bad">${section.count}${section.more && '+'}</span></h2>
    <p class="quiet">${section.help}</p>
    ${section.body} ${section.more && html`<p class="quiet">${words.onlyNewest}</p>`}
  </section>`

troublePages.get(
  '/trouble',
  page(async (trx, visit) => {
    const words = troubleWords[visit.language]
    const tenantId = scopeOf(visit)
    const tenants = await tenantsSeen(trx, visit)
    if (tenantId && !tenants.some(({ id }) => id === tenantId)) refuse(404)
    const shown = tenantId === null ? [...SECTIONS, ...OPERATORS] : SECTIONS
    const sections: Section[] = []
    for (const show of shown) sections.push(await show(trx, visit, tenantId))
    const count = sections.reduce((sum, section) => sum + section.count, 0)
    const more = sections.some(section => section.more)
    // The title of what is in order would read as an alarm.
    const troubles = sections.filter(section => section.count > 0)
    return {
      name: 'trouble',
      title: words.title,
      live: true,
      body: html`<div class="row spread">
          <h1>${words.title}</h1>
          ${chooseTenant('/ops/trouble', tenants, visit)}
        </div>
        <p>
          ${
            count === 0
              ? html`<span class="badge good">${words.fine}</span>`
              : html`<strong>${words.need(count, more)}</strong>`
          }
        </p>
        ${
          count > 0 &&
          html`<ul class="figures">
            ${troubles.map(
              section =>
                html`<li>
                  <a href="#${section.id}"
                    ><strong>${section.count}${section.more && '+'}</strong> ${section.title}</a
                  >
                </li>`,
            )}
          </ul>`
        }
        ${troubles.map(section => sectionOf(section, words))}
        ${count > 0 && troubles.length < sections.length && html`<p class="quiet">${words.allElse}</p>`}`,
    }
  }),
)

troublePages.get(
  '/trouble/deliveries/:id',
  page(async (trx, visit) => ({
    name: 'trouble',
    title: troubleWords[visit.language].deliveries.one,
    body: await deliveryBody(trx, visit, idOf(visit)),
  })),
)
